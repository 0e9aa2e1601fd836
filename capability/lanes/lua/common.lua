-- Begin a step on the lanes of a queue: what all scripts and functions of package lanes share.
-- keys   1 the rule, a hash: state, max, total, rate, burst, weighted, w:LANE, and what changes
--        with each job: v (virtual time), running, parked; until, before which lanes are off for a
--        bulk operation, in milliseconds; 2 ready, the lanes whose next job may
--        run, by virtual time; 3 full, those whose jobs wait for one that runs, by virtual time; 4
--        wait, those that are closed until an instant, in milliseconds, with or without jobs; 5
--        past, the virtual time of lanes without jobs; 6 busy, a hash: lane to jobs that run; 7
--        tat, lanes by the theoretical arrival time of GCRA, in milliseconds; 8 inlane, a hash of
--        the owner: token to lane; 9 the lane bell, a list; 10 the queue's list; 11 arrived, a
--        list: the jobs that doorbells took from the end of it that is taken next, and that go back
--        there
-- A lane with jobs is in one of ready, full and wait. A lane's list has the key of the rule, with
-- :lane: and its name. Its name is known only here, so it is not among KEYS; the keys have one tag,
-- so they are in one slot. The oldest job is at the right end, as in the queue's list.
-- A step notes what it changes, and save writes it: most cost of a script is its calls.
local call = redis.call
local rule, ready, full, wait, past, busy, tat, inlane, bell, list, arrived = unpack(keys)
local values = call('HMGET', rule, 'state', 'max', 'total', 'rate', 'burst', 'weighted', 'v',
  'running', 'parked', 'beside', 'besides', 'until')

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local on = values[1] == 'on' and (not values[10] or values[11] == '1')
  and (not values[12] or tonumber(values[12]) < now())
local weighted = values[6] == '1'
local function number(i) return tonumber(values[i] or 0) end
local max, total, rate, burst = number(2), number(3), number(4), number(5)
local v, running, parked = number(7), number(8), number(9)
local before = {v, running, parked}

local function list_of(lane) return rule .. ':lane:' .. lane end

-- gather puts the jobs that doorbells took back to the queue's list, which is then as they found
-- it.
local function gather()
  while call('LMOVE', arrived, list, 'LEFT', 'RIGHT') do end
end

-- some calls a command with a key and a list of values, if there are any.
local function some(command, key, words)
  for i = 1, #words, 4000 do
    call(command, key, unpack(words, i, math.min(i + 3999, #words)))
  end
end

-- The jobs of lanes that run, as far as the step knows them, and the lanes of which it changes
-- that.
local counts, changed = {}, {}

-- count returns how many jobs of a lane run.
local function count(lane)
  counts[lane] = counts[lane] or tonumber(call('HGET', busy, lane) or 0)
  return counts[lane]
end

-- count_all reads how many jobs of lanes run, in one call.
local function count_all(lanes)
  local unknown = {}
  for _, lane in ipairs(lanes) do
    if not counts[lane] then unknown[#unknown + 1] = lane end
  end
  if #unknown == 0 then return end
  for i, n in ipairs(call('HMGET', busy, unpack(unknown))) do
    counts[unknown[i]] = tonumber(n or 0)
  end
end

-- add notes that n more jobs of a lane run.
local function add(lane, n)
  counts[lane], changed[lane] = math.max(count(lane) + n, 0), true
  running = math.max(running + n, 0)
end

-- Lanes that become ready, full or without jobs, each behind its virtual time.
local to_ready, to_full, to_past = {}, {}, {}

local function append(to, at, lane) to[#to + 1], to[#to + 2] = at, lane end

-- tag returns the virtual time with which a lane that had no jobs begins.
local function tag(lane)
  return math.max(v, tonumber(call('ZSCORE', past, lane) or 0))
end

-- enlist makes a lane with jobs, which is not closed, ready or full.
local function enlist(lane, at)
  append(max > 0 and lane ~= '' and count(lane) >= max and to_full or to_ready, at, lane)
end

-- release notes that a job of a lane runs no more.
local function release(lane)
  add(lane, -1)
  if max == 0 or count(lane) ~= max - 1 then return end
  local at = call('ZSCORE', full, lane)
  if at then
    call('ZREM', full, lane)
    append(to_ready, at, lane)
  end
end

-- settle_lanes writes which lanes are ready, full and past.
local function settle_lanes()
  some('ZADD', ready, to_ready)
  some('ZADD', full, to_full)
  some('ZADD', past, to_past)
  to_ready, to_full, to_past = {}, {}, {}
end

-- shut closes a lane until an instant.
local function shut(lane, till)
  local at = call('ZSCORE', ready, lane) or call('ZSCORE', full, lane)
  if at then
    call('ZREM', ready, lane)
    call('ZREM', full, lane)
    append(to_past, at, lane)
  end
  call('ZADD', wait, 'GT', till, lane)
end

-- open makes the lanes ready whose time has come.
local function open(time)
  for _, lane in ipairs(call('ZRANGEBYSCORE', wait, '-inf', time, 'LIMIT', 0, 64)) do
    call('ZREM', wait, lane)
    if call('EXISTS', list_of(lane)) == 1 then enlist(lane, tag(lane)) end
  end
end

-- save writes what the step has changed, and tells a sleeping process that a job may run. More than
-- one ring in the list of the bell wakes nobody more: each process that finds more jobs than it can
-- take rings again. It returns how many lanes are ready.
local function save()
  settle_lanes()
  local some_busy, idle = {}, {}
  for lane in pairs(changed) do
    if counts[lane] > 0 then
      append(some_busy, lane, counts[lane])
    else
      idle[#idle + 1] = lane
    end
  end
  some('HSET', busy, some_busy)
  some('HDEL', busy, idle)
  changed = {}
  if v ~= before[1] or running ~= before[2] or parked ~= before[3] then
    call('HSET', rule, 'v', string.format('%.17g', v), 'running', running, 'parked', parked)
    before = {v, running, parked}
  end
  local n = call('ZCARD', ready)
  if n > 0 and on and (total == 0 or running < total) and call('LLEN', bell) == 0 then
    call('LPUSH', bell, 1)
  end
  return n
end
