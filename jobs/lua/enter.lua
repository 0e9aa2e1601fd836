-- Ask whether a request may go to a host. If the host's breaker is open and its time is
-- over, the caller may probe the host.
-- KEYS   1 kyu:breaker:HOST, a hash: failures (in a row), until (Redis's clock in
--        milliseconds; set while the breaker is open), cool (milliseconds for which it was
--        last opened), probe (1 while one request probes)
-- ARGV   1 milliseconds that a probe may take; 2 '1' if the caller has a thread left for
--        a host that has failed, else '0'
-- Result {milliseconds to wait, 0 if the request may go; failures in a row}
-- Atomic so that only one of all workers probes the host.
local state = redis.call('HMGET', KEYS[1], 'failures', 'until')
local failures = tonumber(state[1] or 0)
if not state[2] then return {0, failures} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(state[2]) > now then return {tonumber(state[2]) - now, failures} end
if ARGV[2] ~= '1' then return {1000, failures} end -- another worker may probe
redis.call('HSET', KEYS[1], 'until', now + ARGV[1], 'probe', 1)
return {0, failures}
