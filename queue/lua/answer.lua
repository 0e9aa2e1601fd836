#!lua flags=allow-oom
-- Deliver the job that a doorbell landed, if no other job waits. The doorbell's connection sends
-- this call behind its BLMOVE, so Redis carries it out as soon as a job has landed, without
-- another round trip.
-- KEYS   1 kyu:leases, 2 paused, 3 the landing list, 4 the in-flight hash of the queue, then
--        the lists of all queues that the capsule serves
-- ARGV   1 identity, 2 token, 3 the queue, 4 bytes that a payload may have
-- Result the payload, or nil if nothing was done: no job or more than one has landed, a job
--        waits in one of the queues (which may come before this one), the queue is paused, the
--        lease is lost, the payload is too large, or a key has a wrong type. The next fetch
--        handles each of these.
-- Atomic so that a job is always in the landing list or in flight, and so that no job is taken
-- while a queue before its own holds one.
local try = redis.pcall
if try('LLEN', KEYS[3]) ~= 1 then return nil end
local lease = try('ZSCORE', KEYS[1], ARGV[1])
if type(lease) ~= 'string' or tonumber(lease) < 0 then return nil end
if try('EXISTS', unpack(KEYS, 5)) ~= 0 or try('SISMEMBER', KEYS[2], ARGV[3]) == 1 then
  return nil
end
local raw = try('RPOP', KEYS[3])
if #raw > tonumber(ARGV[4]) or type(try('HSET', KEYS[4], ARGV[2], raw)) ~= 'number' then
  redis.call('RPUSH', KEYS[3], raw)
  return nil
end
return raw
