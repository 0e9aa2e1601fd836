#!lua flags=allow-oom
-- Declare an identity dead, so that its jobs can be taken from it.
-- KEYS   1 kyu:leases, 2 kyu:owner:IDENTITY, then its in-flight hashes and landing lists
-- ARGV   1 identity, 2 the score that was seen, 3 how many of KEYS are hashes
-- Result 1 if it is fenced now, 0 if it has beaten since, or is gone
-- Atomic so that an owner that beat in between stays alive, and so that it is written
-- down, before anybody takes one, whether it died with a single job in its hands.
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lease ~= ARGV[2] then return 0 end
if tonumber(lease) >= 0 then
  local time, held = redis.call('TIME'), 0
  redis.call('ZADD', KEYS[1], -(time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[1])
  for key = 3, #KEYS do
    held = held + redis.call(key < 3 + ARGV[3] and 'HLEN' or 'LLEN', KEYS[key])
  end
  redis.call('HSET', KEYS[2], 'alone', held == 1 and 1 or 0)
end
return 1
