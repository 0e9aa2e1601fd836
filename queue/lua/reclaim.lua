#!lua flags=allow-oom
-- Take jobs out of a dead owner's hands: back to the head of their queue, or,
-- if they came back too often, to the dead set.
-- KEYS   1 the queue's list, 2 the in-flight hash, 3 the landing list, 4 queues, 5 dead,
--        then one counter per job
-- ARGV   1 queue name, 2 the count that kills, 3 seconds that a counter lives,
--        4 score for the dead set, 5 scores up to this are too old for it, 6 its size
--        limit, then per job: token ('' if landed), landed payload, payload for the dead
--        set ('' never kills)
-- Result per job 0 gone already, 1 back in its queue, 2 dead
-- Atomic so that of several reclaimers one moves a job, and it is never in neither place.
local result = {}
for at = 7, #ARGV, 3 do
  local token, raw, epitaph = unpack(ARGV, at, at + 2)
  local mine = 0
  if token == '' then
    mine = redis.call('LREM', KEYS[3], 1, raw)
  else
    raw = redis.call('HGET', KEYS[2], token)
    mine = redis.call('HDEL', KEYS[2], token)
  end
  if mine == 1 then
    local counter, times = KEYS[6 + (at - 7) / 3], 0
    if epitaph ~= '' then
      times = redis.call('INCR', counter)
      if times == 1 then redis.call('EXPIRE', counter, ARGV[3]) end
    end
    if epitaph ~= '' and times >= tonumber(ARGV[2]) then
      redis.call('DEL', counter)
      redis.call('ZADD', KEYS[5], ARGV[4], epitaph)
      redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[5])
      redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -ARGV[6])
      mine = 2
    else
      redis.call('SADD', KEYS[4], ARGV[1])
      redis.call('RPUSH', KEYS[1], raw)
    end
  end
  result[#result + 1] = mine
end
return result
