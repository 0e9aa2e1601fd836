#!lua flags=allow-oom
-- Declare an identity dead, so that its jobs can be taken from it.
-- KEYS   1 kyu:leases
-- ARGV   1 identity, 2 the score that was seen
-- Result 1 if it is fenced now, 0 if it has beaten since, or is gone
-- Atomic so that an owner that beat in between stays alive.
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lease ~= ARGV[2] then return 0 end
if tonumber(lease) >= 0 then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[1], -(time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[1])
end
return 1
