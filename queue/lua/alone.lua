#!lua flags=allow-oom
-- Write down that of all that an owner holds only one delivery runs, or that this ends.
-- KEYS   1 kyu:owner:IDENTITY
-- ARGV   1 the delivery's token, or '' when it ends, 2 a number, higher with every call
-- Result 1; 0 if the owner has no record, or if a later call was carried out before
-- Atomic so that a call whose reply was lost, and that comes after the one that ends it,
-- changes nothing: a crash of others would be blamed on the delivery.
local told = redis.call('HGET', KEYS[1], 'told_alone')
if redis.call('EXISTS', KEYS[1]) == 0 or tonumber(told or 0) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'told_alone', ARGV[2])
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'alone')
else
  redis.call('HSET', KEYS[1], 'alone', ARGV[1])
end
return 1
