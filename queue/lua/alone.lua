#!lua flags=allow-oom
-- Record that an owner runs only one delivery, or that this is no longer true.
-- KEYS   1 kyu:owner:IDENTITY
-- ARGV   1 the token of the only delivery, or '' if there is none, 2 a number that grows with
--        every call
-- Result 1; 0 if the owner has no record, or if a later call has been carried out
-- Atomic so that a call that arrives after a later one changes nothing: it would blame the
-- delivery for a crash while others run.
local told = redis.call('HGET', KEYS[1], 'told_alone')
if redis.call('EXISTS', KEYS[1]) == 0 or tonumber(told or 0) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'told_alone', ARGV[2])
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'alone')
else
  redis.call('HSET', KEYS[1], 'alone', ARGV[1])
end
return 1
