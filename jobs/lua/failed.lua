-- Count a failure of a host. Too many failures in a row open its breaker. A probe that
-- fails opens it again, for twice as long.
-- KEYS   1 kyu:breaker:HOST, as in enter.lua; 2 kyu:breakers, the set of such hosts
-- ARGV   1 failures in a row that open it; 2 and 3 the shortest and the longest time for
--        which it opens, in milliseconds; 4 the host
-- Result the milliseconds for which this failure opened the breaker, else 0
-- Atomic so that failures in many workers at once open it once.
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3] * 4)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now + ARGV[3] * 4, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now) -- their breakers have expired
local state = redis.call('HMGET', KEYS[1], 'until', 'cool', 'probe')
local cool
if state[3] then
  cool = math.min(state[2] * 2, tonumber(ARGV[3]))
elseif not state[1] and failures >= tonumber(ARGV[1]) then
  cool = tonumber(ARGV[2])
else
  return 0 -- too few failures, or the request was under way when the breaker opened
end
redis.call('HSET', KEYS[1], 'until', now + cool, 'cool', cool)
redis.call('HDEL', KEYS[1], 'probe')
return cool
