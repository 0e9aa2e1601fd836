#!lua flags=allow-oom
-- Extend a lease, and read the signals that were sent to the process.
-- KEYS   1 kyu:leases, 2 the process's signals, 3 paused, 4 kyu:owner:IDENTITY
-- ARGV   1 identity, 2 lease in milliseconds, 3 number of the last reply that held signals,
--        4 how many it held ('0': none are to be removed)
-- Result {1, signals oldest first, paused queues}; {0} if the lease is lost
-- Atomic so that a lease that a reclaimer has fenced (a negative score) cannot be extended.
-- The time is Redis's own, so the owners' clocks need not agree. A beat removes the signals
-- that the reply before it held, once: if that reply was lost, they are sent again.
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) < 0 then return {0} end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
if ARGV[4] ~= '0' and redis.call('HGET', KEYS[4], 'told') ~= ARGV[3] then
  redis.pcall('LTRIM', KEYS[2], 0, -1 - ARGV[4])
  redis.call('HSET', KEYS[4], 'told', ARGV[3])
end
local told = redis.pcall('LRANGE', KEYS[2], -16, -1)
local oldest = {}
for i = #told, 1, -1 do oldest[#oldest + 1] = told[i] end
local paused = redis.pcall('SMEMBERS', KEYS[3])
return {1, oldest, paused.err and {} or paused}
