#!lua
-- Push jobs to one place or to several: queues, or the schedule set.
-- KEYS   1 queues, then per place its key, the queue's list or the schedule set, and
--        with markers one per job
-- ARGV   per place: queue name ('' for the schedule set), seconds that a marker lives
--        (0: no markers), number of jobs, then per job its payload, in the schedule
--        set after its score
-- Result the number of jobs pushed; less than asked if markers were there already
-- Atomic so that a push is stored whole or not at all, a marker exists exactly if its
-- job was pushed, and a queue with jobs is always in the set of queues. Without
-- allow-oom: a full Redis refuses new work as a whole.
--
-- Redis takes nothing back when a command fails. So that after an error nothing was
-- pushed, whatever types the keys have:
-- - One place without markers, the usual push, needs no look at the types. In a queue
--   SADD comes first: if it fails nothing is written. If then the first LPUSH fails,
--   only the queue's name was written, which is no job. If the first succeeds the key
--   is a list, and the others succeed too. The schedule set has the ZADDs alone: if
--   the first succeeds the key is a sorted set, and the others succeed too.
-- - With markers or several places, a late failure would leave markers without jobs (a
--   repeated push would then be dropped) or the jobs of the first places. So all types
--   are checked before anything is written.
local function wrong(key, want)
  local holds = redis.call('TYPE', key).ok
  if holds ~= want and holds ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' holds a ' .. holds .. ', but a ' .. want .. ' is wanted')
  end
end

-- A Lua call takes some 8,000 values, so many go in several.
local function write(command, key, want, list, from, to)
  for at = from, to, 4000 do
    local reply = redis.pcall(command, key, unpack(list, at, math.min(at + 3999, to)))
    if type(reply) == 'table' and reply.err then
      return wrong(key, want) or reply
    end
  end
end

-- step is how many values a job of a place has.
local function step(name)
  return name == '' and 2 or 1
end

if #KEYS > 2 then
  local key, arg = 2, 1
  while ARGV[arg] do
    local name, n = ARGV[arg], tonumber(ARGV[arg + 2])
    local fault
    if name == '' then
      fault = wrong(KEYS[key], 'zset')
    else
      fault = wrong(KEYS[key], 'list') or wrong(KEYS[1], 'set')
    end
    if fault then
      return fault
    end
    key = key + 1 + (ARGV[arg + 1] == '0' and 0 or n)
    arg = arg + 3 + n * step(name)
  end
end

local pushed, key, arg = 0, 2, 1
while ARGV[arg] do
  local name, life, n, dest = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2]), KEYS[key]
  local values = step(name)
  local list, from, to = ARGV, arg + 3, arg + 2 + n * values
  key, arg = key + 1, to + 1
  if life ~= '0' then
    local new = {}
    for i = 0, n - 1 do
      if redis.call('SET', KEYS[key + i], 1, 'NX', 'EX', life) then
        for at = from + i * values, from + i * values + values - 1 do
          new[#new + 1] = list[at]
        end
      end
    end
    key = key + n
    list, from, to = new, 1, #new
  end
  if from <= to then
    local fault
    if name == '' then
      fault = write('ZADD', dest, 'zset', list, from, to)
    else
      fault = write('SADD', KEYS[1], 'set', { name }, 1, 1) or write('LPUSH', dest, 'list', list, from, to)
    end
    if fault then
      return fault
    end
    pushed = pushed + (to - from + 1) / values
  end
end
return pushed
