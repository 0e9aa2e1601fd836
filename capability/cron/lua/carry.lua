#!lua flags=allow-oom
-- Take over what another shard knows of an entry.
-- KEYS   1 kyu:cron:NAME, 2 kyu:cron, 3 its list of runs
-- ARGV   1 its name; 2 number of words of the entry, and the words; then the lines of its runs
-- Result 1
-- Atomic so that a slot that the other shard has claimed is not claimed here. What is here and
-- newer stays, so the call may be repeated.
local call, n = redis.call, tonumber(ARGV[2])
for i = 3, 2 + n, 2 do
  local field, value = ARGV[i], ARGV[i + 1]
  if field == 'last' then
    if tonumber(call('HGET', KEYS[1], 'last') or 0) < tonumber(value) then
      call('HSET', KEYS[1], 'last', value)
    end
  else
    call('HSETNX', KEYS[1], field, value)
  end
end
call('SADD', KEYS[2], ARGV[1])
if #ARGV > 2 + n and call('EXISTS', KEYS[3]) == 0 then
  call('RPUSH', KEYS[3], unpack(ARGV, 3 + n))
end
return 1
