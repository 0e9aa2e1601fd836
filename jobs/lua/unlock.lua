-- Take a lock away.
-- KEYS   1 the lock
-- ARGV   1 who holds it
-- Result 1 if it was taken away, 0 if another holds it
-- Atomic so that a lock whose time was over is not taken from its next owner.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
