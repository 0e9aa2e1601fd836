
-- Change a lock when its job leaves the place where it was, or comes from another shard.
-- args   1 'release'; 'take' for a job that waits again and had released its lock at its start; or
--        'land' for a job that comes with its lock, then as lock.lua says, and 8 since when it
--        holds the lock, 9 when the lock ends in milliseconds (0: never), 10 its score in the set
--        of digests, 11 its payload if a later push may replace it, else '', 12 when 11 ends

-- land gives the lock to a job that had it in another shard, also if others hold it here: the lock
-- must not be free while one of them exists.
local function land()
  local ends, new = tonumber(args[9]), call('EXISTS', keys[2]) == 0
  call('ZADD', args[5] == '1' and keys[7] or keys[6], 'NX', args[10], args[2])
  call('HSETNX', keys[2], args[7], args[8])
  call('SET', keys[1], args[7], 'NX')
  for i = 1, 2 do
    if ends == 0 then
      call('PERSIST', keys[i])
    elseif new then
      call('PEXPIREAT', keys[i], args[9])
    else
      call('PEXPIREAT', keys[i], args[9], 'GT') -- a lock that never ends is later than any time
    end
  end
  if args[11] ~= '' then
    call('SET', keys[8], args[11])
    if args[12] ~= '0' then call('PEXPIREAT', keys[8], args[12]) end
  end
end

if args[1] == 'take' then
  take(args[7])
elseif args[1] == 'land' then
  land()
else
  release(args[7])
end
