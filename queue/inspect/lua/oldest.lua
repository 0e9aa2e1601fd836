#!lua flags=no-writes
-- Read how long a queue is, and of its oldest job as much as tells its age.
-- KEYS   1 the queue's list
-- ARGV   1 bytes of a payload that is read whole, 2 bytes of the head and 3 of the tail
--        of one that is longer
-- Result {length} of an empty queue, {length, payload}, or {length, head, tail}
-- Atomic so that length and job belong together; and here, so that no client reads a
-- payload of megabytes for the sake of one field.
local size = redis.call('LLEN', KEYS[1])
local raw = redis.call('LINDEX', KEYS[1], -1)
if not raw then return {size} end
if #raw <= tonumber(ARGV[1]) then return {size, raw} end
return {size, string.sub(raw, 1, ARGV[2]), string.sub(raw, -ARGV[3])}
