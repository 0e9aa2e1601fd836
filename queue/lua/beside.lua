#!lua flags=allow-oom
-- Record that a job that came back from crashes starts while others run: a crash is then not
-- its fault alone.
-- KEYS   1 kyu:owner:IDENTITY
-- ARGV   1 the delivery's token
-- Result 1; 0 if the owner has no record
-- Atomic so that no record is made for an owner that has been forgotten.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'beside:' .. ARGV[1], 1)
return 1
