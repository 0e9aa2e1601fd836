#!lua flags=allow-oom
-- Carry out a page of a bulk operation on a long queue: take the newest jobs off its list, in
-- order, and put those that stay into the list of sifted jobs. Workers go on with the oldest. When
-- few of these are left, they and the sifted jobs become the queue: it then has its order again.
-- KEYS   1 the operation's hash, 2 the queue's list, 3 queues, 4 dead, 5 the list of chosen jobs:
--        the trash or the staged jobs, 6 the list of sifted jobs
-- ARGV   1 to 4 see parts/operation.lua, 5 verb: delete | forget | kill | move, 6 score for the
--        dead set, 7 scores up to this are too old for it, 8 its size limit, 9 name of the queue,
--        10 seconds that the trash lives, 11 jobs that are few, then per job, the newest first,
--        its bytes, and '' if it stays, else 1 and its new bytes
-- Result -1 while jobs are sifted, then the number of jobs, at the taking end, that were not looked
--        at; then per job 1 if it was chosen and 0 if it stays, until a job that is not the newest
--        of the list; or -1, and per job -1, and nothing was done, because a key has a wrong type
-- Atomic so that each job is in one list, and so that workers always have jobs before them that are
-- older than the sifted ones. A copy of this script carries out the jobs' effects at (effects).
-- (operation)
local list, verb, result, changed = KEYS[2], ARGV[5], {-1}, 0
local kinds_of_keys = {list, 'list', KEYS[3], 'set', KEYS[4], 'zset', KEYS[5], 'list', KEYS[6],
  'list'}
for i = 1, #kinds_of_keys, 2 do
  if not fits(kinds_of_keys[i], kinds_of_keys[i + 1]) then
    for _ = 12, #ARGV, 2 do result[#result + 1] = -1 end
    return result
  end
end

-- Jobs that were pushed since the last page are newer than all that were sifted. They are before
-- the edge, or all that there are, because workers have taken the edge and all behind it. If there
-- are too many, they are looked at as if they were older than the sifted ones.
local edge, length = call('HGET', KEYS[1], 'edge') or ARGV[12], call('LLEN', list)
local arrived = call('LPOS', list, edge, 'MAXLEN', 5000) or length <= 5000 and length or 0
if arrived > 0 then
  local new = call('LPOP', list, arrived)
  for i = #new, 1, -1 do call('LPUSH', KEYS[6], new[i]) end
end
for at = 12, #ARGV, 2 do
  local raw, to = ARGV[at], ARGV[at + 1]
  if call('LINDEX', list, 0) ~= raw then break end
  call('LPOP', list)
  local mine = 1
  if to == '' then
    call('RPUSH', KEYS[6], raw)
    mine = 0
  elseif verb == 'kill' then
    call('ZADD', KEYS[4], ARGV[6], string.sub(to, 2))
  elseif verb ~= 'forget' then
    call('RPUSH', KEYS[5], string.sub(to, 2))
  end
  changed = changed + mine
  result[#result + 1] = mine
  -- (effects)
end
if changed > 0 and verb == 'delete' then call('EXPIRE', KEYS[5], ARGV[10]) end
if changed > 0 and verb == 'kill' then
  call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[7])
  call('ZREMRANGEBYRANK', KEYS[4], 0, -ARGV[8])
end
local left = call('LLEN', list)
if left > 0 then
  call('HSET', KEYS[1], 'edge', call('LINDEX', list, 0)) -- the newest job that was not looked at
else
  call('HDEL', KEYS[1], 'edge')
end
if left <= tonumber(ARGV[11]) then
  local rest = left > 0 and call('LPOP', list, left) or {} -- the newest first
  for i = 1, left, 1000 do
    call('RPUSH', KEYS[6], unpack(rest, i, math.min(i + 999, left)))
  end
  if call('EXISTS', KEYS[6]) == 1 then
    call('RENAME', KEYS[6], list)
    call('SADD', KEYS[3], ARGV[9])
  end
  result[1] = left
end
note(changed)
return result
