#!lua flags=allow-oom
-- Extend a lease, and collect what the process has been told.
-- KEYS   1 kyu:leases, 2 the process's signals, 3 paused
-- ARGV   1 identity, 2 lease in milliseconds
-- Result {1, signals oldest first, paused queues}; {0} if the lease is lost
-- Atomic so that a lease that a reclaimer has fenced (a negative score) cannot be
-- extended. Time is Redis's own: the owners' clocks need not agree.
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) < 0 then return {0} end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
local told = {}
for i = 1, 16 do
  local signal = redis.call('RPOP', KEYS[2])
  if not signal then break end
  told[i] = signal
end
return {1, told, redis.call('SMEMBERS', KEYS[3])}
