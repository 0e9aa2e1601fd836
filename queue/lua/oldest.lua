#!lua flags=no-writes
-- Read the length of a queue, and the part of its oldest job that holds the time.
-- KEYS   1 the queue's list
-- ARGV   1 largest payload in bytes that is returned whole, 2 bytes of the head and 3 of the
--        tail of a larger one
-- Result {length} of an empty queue, {length, payload}, or {length, head, tail}
-- Atomic so that length and job belong to one moment. It is a script so that no client reads
-- megabytes of payload for one field.
local size = redis.call('LLEN', KEYS[1])
local raw = redis.call('LINDEX', KEYS[1], -1)
if not raw then return {size} end
if #raw <= tonumber(ARGV[1]) then return {size, raw} end
return {size, string.sub(raw, 1, ARGV[2]), string.sub(raw, -ARGV[3])}
