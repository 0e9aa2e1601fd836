#!lua flags=allow-oom
-- Write the states of all shards, unless newer ones are there.
-- KEYS   1 kyu:shards, a hash: the field epoch is a number that grows with each change of a state;
--        each other field is the name of a shard, and its value active or draining
-- ARGV   1 epoch, then pairs of a name and a state
-- Result 1 if they are written, 0 if a record of this epoch or a newer one was there
-- Atomic so that of two changes at once the newer one stays, in every shard.
local there = tonumber(redis.call('HGET', KEYS[1], 'epoch')) or 0
if there >= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', unpack(ARGV))
return 1
