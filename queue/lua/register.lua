#!lua flags=allow-oom
-- Write down an owner, and give it a lease or take it away.
-- KEYS   1 kyu:leases, 2 kyu:owner:IDENTITY, 3 kyu:host:HOST, the owners of its machine,
--        if it is known
-- ARGV   1 identity, 2 lease in milliseconds, or '' for an owner that leaves,
--        then fields and values that describe it
-- Result 1
-- Atomic so that whoever is in the register of leases can be judged, and its deliveries
-- found. An owner that leaves is fenced, even if it was forgotten before: a late command of
-- its may still bring it a job.
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
