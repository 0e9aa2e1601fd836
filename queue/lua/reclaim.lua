#!lua flags=allow-oom
-- Take jobs out of a dead owner's hands: back to the head of their queue, or,
-- if they came back too often, to the dead set.
-- KEYS   1 the queue's list, 2 the in-flight hash, 3 the landing list, 4 queues, 5 dead
-- ARGV   1 queue name, 2 score for the dead set, 3 scores up to this are too old for it,
--        4 its size limit, then per job: token ('' if landed), landed payload, the payload
--        that goes on, with its count of crashes, and where: 'queue' or 'dead'
-- Result per job 0 gone already, 1 back in its queue, 2 dead
-- Atomic so that of several reclaimers one moves a job, and it is never in neither place.
local result, buried = {}, false
for at = 5, #ARGV, 4 do
  local token, landed, payload, where = unpack(ARGV, at, at + 3)
  local mine
  if token == '' then
    mine = redis.call('LREM', KEYS[3], 1, landed)
  else
    mine = redis.call('HDEL', KEYS[2], token)
  end
  if mine == 1 then
    if where == 'dead' then
      redis.call('ZADD', KEYS[5], ARGV[2], payload)
      buried, mine = true, 2
    else
      redis.call('SADD', KEYS[4], ARGV[1])
      redis.call('RPUSH', KEYS[1], payload)
    end
  end
  result[#result + 1] = mine
end
if buried then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[3])
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -ARGV[4])
end
return result
