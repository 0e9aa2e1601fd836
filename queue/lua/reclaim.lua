#!lua flags=allow-oom
-- Take jobs out of a dead owner's hands: back to the taking end of their queue, or, if they
-- came back too often, to the dead set. What waits in its landing list goes back before them.
-- KEYS   1 the queue's list, 2 the in-flight hash, 3 the landing list, 4 queues, 5 dead
-- ARGV   1 queue name, 2 score for the dead set, 3 scores up to this are too old for it,
--        4 its size limit, 5 landed jobs to move at most, then per job: token, the payload
--        that goes on, with its count of crashes, and where: 'queue' or 'dead'
-- Result {landed jobs moved}, then per job 0 gone already, 1 back in its queue, 2 dead,
--        -1 refused: a key has a wrong type, and the job stays where it is
-- Atomic so that of several reclaimers one moves a job and counts its crash, and it is never
-- in neither place. A script is not rolled back: types are looked at before it takes. At
-- (effects) a copy of this script carries out what the jobs hold beside themselves.
local call, buried = redis.call, false
local function fits(key, kind)
  local k = call('TYPE', key).ok
  return k == kind or k == 'none'
end
local listed = fits(KEYS[1], 'list') and fits(KEYS[4], 'set')
local deadable, hashed, landed = fits(KEYS[5], 'zset'), fits(KEYS[2], 'hash'), 0
if listed and fits(KEYS[3], 'list') then
  while landed < tonumber(ARGV[5]) and call('LMOVE', KEYS[3], KEYS[1], 'LEFT', 'RIGHT') do
    landed = landed + 1
  end
end
local result = {landed}
for at = 6, #ARGV, 3 do
  local token, payload, where = unpack(ARGV, at, at + 2)
  local mine = -1
  if hashed and (where == 'dead' and deadable or where == 'queue' and listed) then
    mine = call('HDEL', KEYS[2], token)
  end
  if mine == 1 then
    if where == 'dead' then
      call('ZADD', KEYS[5], ARGV[2], payload)
      buried, mine = true, 2
    else
      call('RPUSH', KEYS[1], payload)
    end
  end
  result[#result + 1] = mine
  -- (effects)
end
if listed and call('LLEN', KEYS[1]) > 0 then call('SADD', KEYS[4], ARGV[1]) end
if buried then
  call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[3])
  call('ZREMRANGEBYRANK', KEYS[5], 0, -ARGV[4])
end
return result
