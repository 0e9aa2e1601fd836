-- Release a lock, if it is still the caller's.
-- KEYS   1 the lock
-- ARGV   1 the caller's random value, which it stored in the lock
-- Result 1 if the lock was released, 0 if another job holds it or it has expired
-- Atomic so that a lock that has expired is not taken from its next owner.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
