#!lua flags=allow-oom
-- Delete jobs from a set or a queue by hand, or move them to the dead set.
-- KEYS   1 the sorted set or the list, 2 dead, 3 queues
-- ARGV   1 score for the dead set, '' to delete, 2 scores up to this are too old for the dead
--        set, 3 its size limit, 4 the name of the queue, which is removed from queues if its
--        list is empty afterwards, or '', then per job its bytes and those for the dead set
--        ('': the same)
-- Result per job 1 if it was removed, 0 if it was not there, -1 if it stays because a key has a
--        wrong type
-- Atomic so that a job's effects are carried out if and only if it was removed here, not if a
-- worker or a poller took it at the same moment.
local call, result, bury = redis.call, {}, ARGV[1] ~= ''
local from, dead = call('TYPE', KEYS[1]).ok, call('TYPE', KEYS[2]).ok
local fits = not bury or dead == 'zset' or dead == 'none'
for at = 5, #ARGV, 2 do
  local mine = -1
  if from == 'none' then
    mine = 0
  elseif fits and from == 'zset' then
    mine = call('ZREM', KEYS[1], ARGV[at])
  elseif fits and from == 'list' then
    mine = call('LREM', KEYS[1], -1, ARGV[at]) -- from the end that is taken next
  end
  if bury and mine == 1 then
    call('ZADD', KEYS[2], ARGV[1], ARGV[at + 1] == '' and ARGV[at] or ARGV[at + 1])
  end
  result[#result + 1] = mine
  -- (effects)
end
if bury and fits then
  call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
  call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[3])
end
if ARGV[4] ~= '' and call('EXISTS', KEYS[1]) == 0 then redis.pcall('SREM', KEYS[3], ARGV[4]) end
return result
