#!lua flags=allow-oom
-- Forget a fenced identity that holds no jobs.
-- KEYS   1 kyu:leases, 2 kyu:owner:IDENTITY, 3 kyu:host:HOST, the owners of its machine,
--        then its in-flight hashes and landing lists
-- ARGV   1 identity, 2 milliseconds that it stays fenced at least: longer than one of its
--        commands can still be under way
-- Result 1 if it is forgotten, 0 if not yet
-- Atomic so that a job that lands late always has an owner, by which it is found.
local lease = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if lease >= 0 or now + lease < tonumber(ARGV[2]) then return 0 end
for key = 4, #KEYS do
  if redis.call('EXISTS', KEYS[key]) == 1 then return 0 end
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.pcall('ZREM', KEYS[3], ARGV[1])
redis.call('UNLINK', KEYS[2])
return 1
