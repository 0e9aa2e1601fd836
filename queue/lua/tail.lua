#!lua flags=allow-oom
-- Carry out a page of a bulk operation on the oldest jobs of a queue.
-- KEYS   1 the operation's hash, 2 the queue's list, 3 queues, 4 dead, 5 the trash, or the list of
--        the queue to which jobs move
-- ARGV   1 to 4 see parts/operation.lua, 5 verb: delete | forget | kill | move, 6 score for the
--        dead set, 7 scores up to this are too old for it, 8 its size limit, 9 name of the queue to
--        which jobs move, 10 seconds that the trash lives, 11 jobs at the taking end among which
--        the page is looked for, then per job, the oldest first, its bytes, and '' if it stays,
--        else 1 and its new bytes
-- Result per job 1 if it was chosen, 0 if it stays or is not there any more, -1 if nothing was
--        done, because a key has a wrong type
-- Atomic so that each job is in one list, in order: a worker sees the queue before or after.
-- A copy of this script carries out the jobs' effects at (effects).
-- (operation)
local list, verb, result, changed = KEYS[2], ARGV[5], {}, 0
local kind = verb == 'move' and 'list' or verb == 'delete' and 'list' or 'none'
if not (fits(list, 'list') and fits(KEYS[3], 'set') and fits(KEYS[4], 'zset') and
    (kind == 'none' or fits(KEYS[5], kind))) then
  for _ = 12, #ARGV, 2 do result[#result + 1] = -1 end
  return result
end

-- Workers take the oldest first: if the newest job of the page is there, and others behind it,
-- these are the page's. Jobs that were put back are behind them.
local n = (#ARGV - 11) / 2
local behind = n > 0 and call('LPOS', list, ARGV[10 + 2 * n], 'RANK', -1, 'MAXLEN', ARGV[11])
local taken, before = {}, 0 -- jobs off the list, the oldest first; those before the page
if behind then
  taken = call('RPOP', list, call('LLEN', list) - behind)
  before = #taken - n
end
local chosen = {}
for i = 1, n do
  local raw, to, mine = ARGV[10 + 2 * i], ARGV[11 + 2 * i], 0
  if to ~= '' and taken[before + i] == raw then
    mine, changed = 1, changed + 1
    taken[before + i] = false
    if verb == 'kill' then
      call('ZADD', KEYS[4], ARGV[6], string.sub(to, 2))
    elseif verb == 'move' then
      call('LPUSH', KEYS[5], string.sub(to, 2))
    else
      chosen[#chosen + 1] = raw
    end
  end
  result[#result + 1] = mine
  -- (effects)
end
local back = {}
for i = #taken, 1, -1 do
  if taken[i] then back[#back + 1] = taken[i] end
end
for i = 1, #back, 1000 do call('RPUSH', list, unpack(back, i, math.min(i + 999, #back))) end
if verb == 'delete' then
  for i = #chosen, 1, -1 do call('RPUSH', KEYS[5], chosen[i]) end -- the oldest is the last
end
if changed > 0 and verb == 'delete' then call('EXPIRE', KEYS[5], ARGV[10]) end
if changed > 0 and verb == 'move' then call('SADD', KEYS[3], ARGV[9]) end
if changed > 0 and verb == 'kill' then
  call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[7])
  call('ZREMRANGEBYRANK', KEYS[4], 0, -ARGV[8])
end
note(changed)
return result
