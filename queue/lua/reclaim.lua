#!lua flags=allow-oom
-- Reclaim a dead owner's jobs of one queue: move them back to the taking end of the queue or, if
-- they came back too often, to the dead set. Jobs in its landing list go back first.
-- KEYS   1 the queue's list, 2 the in-flight hash, 3 the landing list, 4 queues, 5 dead
-- ARGV   1 queue name, 2 score for the dead set, 3 scores up to this are too old for it,
--        4 its size limit, 5 landed jobs to move at most, then per job: token, the new payload,
--        with its count of crashes, and where it goes: 'queue' or 'dead'
-- Result {landed jobs moved}, then per job 0 if it was not there, 1 if it is back in its queue,
--        2 if it is in the dead set, -1 if it stays because a key has a wrong type
-- Atomic so that only one of several reclaimers moves a job and counts its crash, and a job is
-- always in one place. A script is not rolled back, so types are checked before a job is
-- removed. A copy of this script carries out the jobs' effects at (effects).
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
