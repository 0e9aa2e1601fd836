#!lua
-- Push jobs to one place or to several: queues, or the schedule set.
-- KEYS   1 queues, then per place its key (the queue's list or the schedule set) and, if
--        it has markers, one key per job
-- ARGV   per place: queue name ('' for the schedule set), seconds that a marker lives
--        (0: no markers), number of jobs, then per job its payload, in the schedule
--        set after its score
-- Result the number of jobs pushed; a job whose marker was there is not pushed. A copy of this
--        script makes the jobs' claims (parts/claims.lua), pushes only the jobs whose claims are
--        granted, and returns {the number, refusals ...}
-- Atomic so that a push is stored whole or not at all, a marker exists exactly if its
-- job was pushed, and a queue with jobs is always in the set of queues. Without
-- allow-oom: a full Redis refuses the whole push.
--
-- Redis undoes nothing when a command fails. After an error nothing has been pushed,
-- whatever types the keys have, because:
-- - The usual push, to one queue and without markers, checks no types. SADD comes first:
--   if it fails nothing is written. If the LPUSH fails it pushes nothing, and only the
--   queue's name was written, which is no job. The code below then finds the reason.
-- - With markers, claims or several places a late failure would leave markers without jobs (a
--   repeated push would then be dropped) or the jobs of the first places; with more jobs
--   than one command takes, the first of them. Here the types of all keys are checked
--   before anything is written. The schedule set takes this way too: ZADD costs more
--   than the check.
local refused, report
-- (claims)
if not refused and #KEYS == 2 and ARGV[1] ~= '' and #ARGV <= 4000
    and type(redis.pcall('SADD', KEYS[1], ARGV[1])) == 'number'
    and type(redis.pcall('LPUSH', KEYS[2], unpack(ARGV, 4))) == 'number' then
  return #ARGV - 3
end

local function wrong(key, want)
  local holds = redis.call('TYPE', key).ok
  if holds ~= want and holds ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' holds a ' .. holds ..
      ', but a ' .. want .. ' is wanted')
  end
end

-- write sends values in several commands, because unpack gives a command at most about
-- 8,000 of them.
local function write(command, key, list, from, to)
  for at = from, to, 4000 do
    redis.call(command, key, unpack(list, at, math.min(at + 3999, to)))
  end
end

local key, arg = 2, 1
while ARGV[arg] do
  local name, n, fault = ARGV[arg], tonumber(ARGV[arg + 2])
  if name == '' then
    fault = wrong(KEYS[key], 'zset')
  else
    fault = wrong(KEYS[key], 'list') or wrong(KEYS[1], 'set')
  end
  if fault then
    return fault
  end
  key = key + 1 + (ARGV[arg + 1] == '0' and 0 or n)
  arg = arg + 3 + (name == '' and 2 * n or n)
end

local pushed, item = 0, 0
key, arg = 2, 1
while ARGV[arg] do
  local name, life, n, dest = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2]), KEYS[key]
  local values = name == '' and 2 or 1 -- of a job
  local list, from, to = ARGV, arg + 3, arg + 2 + n * values
  key, arg = key + 1, to + 1
  if life ~= '0' or refused then
    local new = {}
    for i = 0, n - 1 do
      local at, marker = from + i * values, life ~= '0' and KEYS[key + i]
      item = item + 1
      local fresh = not marker or redis.call('EXISTS', marker) == 0
      if fresh and not (refused and refused(item, list[at + values - 1])) then
        if marker then redis.call('SET', marker, 1, 'EX', life) end
        for k = at, at + values - 1 do new[#new + 1] = list[k] end
      end
    end
    key = key + (life ~= '0' and n or 0)
    list, from, to = new, 1, #new
  end
  if from <= to and name == '' then
    write('ZADD', dest, list, from, to)
  elseif from <= to then
    redis.call('SADD', KEYS[1], name)
    write('LPUSH', dest, list, from, to)
  end
  pushed = pushed + (to - from + 1) / values
end
return report and report(pushed) or pushed
