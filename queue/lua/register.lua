#!lua flags=allow-oom
-- Record an owner, and give it a lease or fence it.
-- KEYS   1 kyu:leases, 2 kyu:owner:IDENTITY, 3 kyu:host:HOST, the owners of its machine,
--        if the machine is known
-- ARGV   1 identity, 2 lease in milliseconds, or '' for an owner that leaves, then the fields
--        and values of its record
-- Result 1
-- Atomic so that each owner with a lease has a record, by which others judge whether it lives
-- and find its deliveries. An owner that leaves is fenced, even if it was forgotten before:
-- one of its commands may still be under way and land a job.
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
if KEYS[3] and ARGV[2] ~= '' then redis.pcall('ZADD', KEYS[3], 0, ARGV[1]) end
if KEYS[3] and ARGV[2] == '' then redis.pcall('ZREM', KEYS[3], ARGV[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local score = -now
if ARGV[2] ~= '' then
  score = now + ARGV[2]
else
  local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if lease and tonumber(lease) < 0 then score = lease end
end
redis.call('ZADD', KEYS[1], score, ARGV[1])
return 1
