-- Release the lock of an entry that must not overlap, when its job is over, or give it to its job
-- when that comes from another shard. This is the body of function(keys, args) in the scripts that
-- remove jobs or move them.
-- keys   1 the lock
-- args   1 the JID of the job, 2 if the job comes: when the lock ends in milliseconds
-- Atomic so that no other job's lock is released: a person may delete a dead job much later.
if args[2] then
  redis.call('SET', keys[1], args[1], 'NX', 'PXAT', args[2])
elseif redis.call('GET', keys[1]) == args[1] then
  redis.call('DEL', keys[1])
end
