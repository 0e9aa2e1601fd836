#!lua flags=allow-oom
-- Write down that a suspect of crashes starts beside other jobs.
-- KEYS   1 kyu:owner:IDENTITY
-- ARGV   1 the delivery's token
-- Result 1; 0 if the owner has no record
-- Atomic so that an owner that was forgotten gets no record again.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'beside:' .. ARGV[1], 1)
return 1
