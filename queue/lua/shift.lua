#!lua flags=allow-oom
-- Move the oldest jobs of a queue behind the jobs of another queue, in order.
-- KEYS   1 the operation's hash, 2 the queue's list, 3 queues, 4 the other queue's list
-- ARGV   1 to 4 see parts/operation.lua, 5 name of the other queue, then per job, the oldest first,
--        its bytes and its new bytes
-- Result per job 1 if it was moved, 0 if it was not at the end of the list: a worker took it; -1
--        if it stays because a key has a wrong type
-- Atomic so that each job is in one of the queues at each moment.
-- (operation)
local list, result, changed = KEYS[2], {}, 0
local usable = fits(list, 'list') and fits(KEYS[3], 'set') and fits(KEYS[4], 'list')
for at = 6, #ARGV, 2 do
  local mine = usable and 0 or -1
  if usable and call('LINDEX', list, -1) == ARGV[at] then
    call('RPOP', list)
    call('LPUSH', KEYS[4], ARGV[at + 1])
    mine, changed = 1, changed + 1
  end
  result[#result + 1] = mine
end
if changed > 0 then call('SADD', KEYS[3], ARGV[5]) end
note(changed)
return result
