-- Begin a step on the lanes of a queue: what all scripts and functions of package lanes share.
-- keys   1 the rule, a hash: state, max, total, rate, burst, weighted, w:LANE, and what changes with
--        each job: v (virtual time), running, parked; 2 ready, the lanes whose next job may run, by
--        virtual time; 3 full, those whose jobs wait for one that runs, by virtual time; 4 wait,
--        those that are closed until an instant, in milliseconds, with or without jobs; 5 past, the
--        virtual time of lanes without jobs; 6 busy, a hash: lane to jobs that run; 7 tat, lanes by
--        the theoretical arrival time of GCRA, in milliseconds; 8 inlane, a hash of the owner: token
--        to lane; 9 the lane bell, a list; 10 the queue's list; 11 arrived, a list: the jobs that doorbells
--        took from the end of it that is taken next, and that go back there
-- A lane with jobs is in one of ready, full and wait. A lane's list has the key of the rule, with
-- :lane: and its name. Its name is known only here, so it is not among KEYS; the keys have one tag,
-- so they are in one slot. The oldest job is at the right end, as in the queue's list.
local call = redis.call
local rule, ready, full, wait, past, busy, tat, inlane, bell, list, arrived = unpack(keys)
local values = call('HMGET', rule, 'state', 'max', 'total', 'rate', 'burst', 'weighted', 'v',
  'running', 'beside', 'besides')
local on = values[1] == 'on' and (not values[9] or values[10] == '1')
local max, total, rate = tonumber(values[2] or 0), tonumber(values[3] or 0), tonumber(values[4] or 0)
local burst, weighted = tonumber(values[5] or 1), values[6] == '1'
local v, running, parked = tonumber(values[7] or 0), tonumber(values[8] or 0), 0
local began, ran = v, running

local function list_of(lane) return rule .. ':lane:' .. lane end

-- gather puts the jobs that doorbells took back to the queue's list, which is then as they found it.
local function gather()
  while call('LMOVE', arrived, list, 'LEFT', 'RIGHT') do end
end

local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- tag returns the virtual time with which a lane that had no jobs begins.
local function tag(lane)
  return math.max(v, tonumber(call('ZSCORE', past, lane) or 0))
end

-- enlist makes a lane with jobs, which is not closed, ready or full. n of its jobs run.
local function enlist(lane, at, n)
  if max > 0 and n >= max and lane ~= '' then
    call('ZADD', full, at, lane)
  else
    call('ZADD', ready, at, lane)
  end
end

-- release notes that a job of a lane runs no more.
local function release(lane)
  local n = call('HINCRBY', busy, lane, -1)
  if n <= 0 then call('HDEL', busy, lane) end
  running = math.max(running - 1, 0)
  if max > 0 and n >= max then return end
  local at = call('ZSCORE', full, lane)
  if at then
    call('ZREM', full, lane)
    call('ZADD', ready, at, lane)
  end
end

-- shut closes a lane until an instant.
local function shut(lane, till)
  local at = call('ZSCORE', ready, lane) or call('ZSCORE', full, lane)
  if at then
    call('ZREM', ready, lane)
    call('ZREM', full, lane)
    call('ZADD', past, at, lane)
  end
  call('ZADD', wait, 'GT', till, lane)
end

-- open makes the lanes ready whose time has come.
local function open(time)
  for _, lane in ipairs(call('ZRANGEBYSCORE', wait, '-inf', time, 'LIMIT', 0, 64)) do
    call('ZREM', wait, lane)
    if call('EXISTS', list_of(lane)) == 1 then
      enlist(lane, tag(lane), tonumber(call('HGET', busy, lane) or 0))
    end
  end
end

-- ring tells a sleeping process that a job may run. More than one ring in the list wakes nobody
-- more: each process that finds more jobs than it can take rings again.
local function ring()
  if on and (total == 0 or running < total) and call('ZCARD', ready) > 0
      and call('LLEN', bell) == 0 then
    call('LPUSH', bell, 1)
  end
end

-- save writes what the step has changed.
local function save()
  if v ~= began then call('HSET', rule, 'v', string.format('%.17g', v)) end
  if running ~= ran then call('HSET', rule, 'running', running) end
  if parked ~= 0 then call('HINCRBY', rule, 'parked', parked) end
  began, ran, parked = v, running, 0
end
