-- Release the lock of an entry that must not overlap, when its job is over. This is the body of
-- function(keys, args) in the scripts that remove jobs.
-- keys   1 the lock
-- args   1 the JID of the job
-- Atomic so that no other job's lock is released: a person may delete a dead job much later.
if redis.call('GET', keys[1]) == args[1] then redis.call('DEL', keys[1]) end
