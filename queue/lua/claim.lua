#!lua flags=allow-oom
-- Make the claims of a job in flight, such as taking a lock before the job runs.
-- KEYS   1 the in-flight hash
-- ARGV   1 the token of the delivery
-- Result {1, refusals ...} if the job is in flight (parts/claims.lua says how a refusal is told),
--        else {0}
-- Atomic so that a claim is made only for a job that its owner still has: a reclaimer has given
-- back what the job held, and would not see what was claimed after it.
local refused, report
-- (claims)
local raw = redis.pcall('HGET', KEYS[1], ARGV[1])
if type(raw) ~= 'string' then return report(0) end
refused(1, raw)
return report(1)
