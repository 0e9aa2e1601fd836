#!lua flags=allow-oom
-- Fence an identity: declare it dead, so that its jobs can be reclaimed.
-- KEYS   1 kyu:leases
-- ARGV   1 identity, 2 the score that the caller has read
-- Result 1 if it is fenced now, 0 if it has extended its lease since, or has none
-- Atomic so that an owner that has extended its lease in between is not fenced.
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lease ~= ARGV[2] then return 0 end
if tonumber(lease) >= 0 then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[1], -(time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[1])
end
return 1
