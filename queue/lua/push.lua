#!lua
-- Push jobs to one queue, or to the schedule set.
-- KEYS   1 the queue's list or the schedule set, 2 queues, then with markers one per job
-- ARGV   1 queue name ('' pushes to the schedule set), 2 seconds that a marker lives
--        (0: no markers), then per job its score ('' for a queue) and its payload
-- Result the number of jobs pushed; less than asked if markers were there already
-- Atomic so that a marker exists exactly if its job was pushed, and a queue with
-- jobs is always in the set of queues. Without allow-oom: a full Redis refuses
-- new work as a whole.
local pushed, jobs = 0, {}
for at = 3, #ARGV, 2 do
  local marker = KEYS[3 + (at - 3) / 2]
  if ARGV[2] == '0' or redis.call('SET', marker, 1, 'NX', 'EX', ARGV[2]) then
    pushed = pushed + 1
    if ARGV[1] == '' then
      redis.call('ZADD', KEYS[1], ARGV[at], ARGV[at + 1])
    else
      jobs[#jobs + 1] = ARGV[at + 1]
    end
  end
end
if #jobs > 0 then
  redis.call('SADD', KEYS[2], ARGV[1])
  redis.call('LPUSH', KEYS[1], unpack(jobs))
end
return pushed
