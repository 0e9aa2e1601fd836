-- Ask whether a host may be sent to.
-- KEYS   1 kyu:breaker:HOST, a hash: failures (in a row), until (ms; set while it is
--        open), cool (ms; how long it is open), probe (1 while one request tries)
-- ARGV   1 how long a probe may take, in milliseconds; 2 '1' if the caller has a
--        thread for a host that has failed
-- Result {how many milliseconds to wait, 0 to go; failures in a row}
-- Atomic so that of all workers one alone probes a host whose cool-off is over.
-- Time is Redis's own.
local state = redis.call('HMGET', KEYS[1], 'failures', 'until')
local failures = tonumber(state[1] or 0)
if not state[2] then return {0, failures} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(state[2]) > now then return {tonumber(state[2]) - now, failures} end
if ARGV[2] ~= '1' then return {1000, failures} end -- let another probe
redis.call('HSET', KEYS[1], 'until', now + ARGV[1], 'probe', 1)
return {0, failures}
