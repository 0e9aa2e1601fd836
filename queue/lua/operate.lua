#!lua flags=allow-oom
-- Carry out a page of a bulk operation on a sorted set of jobs.
-- KEYS   1 the operation's hash, 2 the sorted set, 3 queues, 4 dead, 5 the trash, then the lists
--        that jobs go to
-- ARGV   1 to 4 see parts/operation.lua, 5 verb: delete (to the trash) | forget (without trash) |
--        kill | queue | rewrite (in the set), 6 score for the dead set, 7 scores up to this are
--        too old for it, 8 its size limit, 9 length of a list key's prefix, 10 seconds that the
--        trash lives, then per job its bytes, its new bytes ('': the same), and the number of its
--        list, from 1, or ''
-- Result per job 1 if it was changed, 0 if it was not there, -1 if it stays because a key has a
--        wrong type
-- Atomic so that a job is changed once, however often a page is repeated, and is always in one
-- place. A script is not rolled back, so types are checked before a job is removed. A copy of this
-- script carries out the jobs' effects at (effects).
-- (operation)
local set, verb, result, changed = KEYS[2], ARGV[5], {}, 0
local usable = fits(set, 'zset')
if verb == 'delete' then usable = usable and fits(KEYS[5], 'zset') end
if verb == 'kill' then usable = usable and fits(KEYS[4], 'zset') end
if verb == 'queue' then usable = usable and fits(KEYS[3], 'set') end
local open = {} -- by list: whether it can take a job
for at = 11, #ARGV, 3 do
  local raw, payload, list = ARGV[at], ARGV[at + 1], KEYS[5 + (tonumber(ARGV[at + 2]) or 0)]
  local mine, score = -1, nil
  if payload == '' then payload = raw end
  if verb == 'queue' and open[list] == nil then open[list] = fits(list, 'list') end
  if usable and (verb ~= 'queue' or open[list]) then
    score = call('ZSCORE', set, raw)
    mine = call('ZREM', set, raw)
  end
  if mine == 1 then
    changed = changed + 1
    if verb == 'delete' then
      call('ZADD', KEYS[5], score, raw)
    elseif verb == 'kill' then
      call('ZADD', KEYS[4], ARGV[6], payload)
    elseif verb == 'queue' then
      call('SADD', KEYS[3], string.sub(list, ARGV[9] + 1))
      call('LPUSH', list, payload)
    elseif verb == 'rewrite' then
      call('ZADD', set, score, payload)
    end
  end
  result[#result + 1] = mine
  -- (effects)
end
if changed > 0 and verb == 'delete' then call('EXPIRE', KEYS[5], ARGV[10]) end
if changed > 0 and verb == 'kill' then
  call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[7])
  call('ZREMRANGEBYRANK', KEYS[4], 0, -ARGV[8])
end
note(changed)
return result
