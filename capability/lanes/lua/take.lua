-- Take the jobs of a queue from its lanes: the source of queue/lua/parts/source.lua.
-- The lane with the least virtual time comes first, and moves on by one job over its weight, so
-- lanes have turns in the proportion of their weights, however many jobs each has.
local source = {on = on}
local lane, at, job, arrival -- of the last call of next
local heads, head = {}, 1 -- lanes that are taken off ready, with their times
local least = math.huge -- the least time of the lanes that go back to it
local taken, moved = {}, {} -- tokens with their lanes; lanes with their next times
local soonest = on and call('ZRANGE', wait, 0, 0, 'WITHSCORES')[2]
local time = (soonest or on and rate > 0) and now()
if soonest and tonumber(soonest) <= time then
  open(time)
  soonest = call('ZRANGE', wait, 0, 0, 'WITHSCORES')[2]
end

source.done = function(tokens)
  local lanes, free = {}, {}
  for i, name in ipairs(call('HMGET', inlane, unpack(tokens))) do
    if name then lanes[#lanes + 1], free[#free + 1] = name, tokens[i] end
  end
  if #lanes == 0 then return end
  call('HDEL', inlane, unpack(free))
  count_all(lanes)
  for _, name in ipairs(lanes) do release(name) end
end

-- late returns the instant at which the lane's rate allows its next job, or nil if it does now. It
-- sets arrival, the lane's new theoretical arrival time (GCRA).
local function late()
  local interval = 1000 / rate
  local due = math.max(tonumber(call('ZSCORE', tat, lane) or 0), time)
  arrival = due + interval
  local opens = math.ceil(due - (burst - 1) * interval)
  return opens > time and opens
end

-- onward writes where the lanes go whose jobs were taken: those that are empty now wait for others.
local function onward()
  local lists = {}
  for i = 2, #moved, 2 do lists[#lists + 1] = list_of(moved[i]) end
  local left = #lists > 0 and call('EXISTS', unpack(lists))
  for i = 1, #moved, 2 do
    local after, name = moved[i], moved[i + 1]
    if left == #lists or left > 0 and call('EXISTS', list_of(name)) == 1 then
      enlist(name, after)
    else
      append(to_past, after, name)
    end
  end
  for i = head, #heads do append(to_ready, heads[i][2], heads[i][1]) end
  heads, head, least, moved = {}, 1, math.huge, {}
  settle_lanes()
end

-- first returns the lane whose turn it is, and takes it off ready. want is how many are wanted.
local function first(want)
  if not heads[head] or heads[head][2] > least then
    onward()
    local popped, lanes = call('ZPOPMIN', ready, want), {}
    for i = 1, #popped, 2 do
      heads[#heads + 1], lanes[#lanes + 1] = {popped[i], tonumber(popped[i + 1])}, popped[i]
    end
    if #lanes > 0 then count_all(lanes) end
  end
  if not heads[head] then return false end
  lane, at = unpack(heads[head])
  head = head + 1
  return true
end

source.next = function(want)
  while (total == 0 or running < total) and first(want) do
    local limited = lane ~= '' and max > 0 and count(lane) >= max -- the limit was lowered
    local opens = lane ~= '' and rate > 0 and not limited and late()
    if limited then
      append(to_full, at, lane)
    elseif opens then
      append(to_past, at, lane)
      call('ZADD', wait, opens, lane)
      if not soonest or opens < tonumber(soonest) then soonest = opens end
    else
      job = call('RPOP', list_of(lane))
      if job then return job end
    end
  end
end

source.back = function()
  call('RPUSH', list_of(lane), job)
  append(to_ready, at, lane)
end

source.gone = function()
  parked = parked - 1
  append(moved, at, lane)
  least = math.min(least, at)
end

source.took = function(token)
  append(taken, token, lane)
  if rate > 0 and lane ~= '' then call('ZADD', tat, arrival, lane) end
  add(lane, 1)
  parked, v = parked - 1, math.max(v, at)
  local weight = weighted and tonumber(call('HGET', rule, 'w:' .. lane) or 1) or 1
  append(moved, at + 1 / weight, lane)
  least = math.min(least, at + 1 / weight)
end

local more -- no job comes to the list or leaves it while the script runs
source.more = function()
  if more == nil then more = call('EXISTS', list, arrived) > 0 end
  return more
end

source.rest = function(leaves)
  if leaves then gather() end
  onward()
  some('HSET', inlane, taken)
  taken = {}
  local began = before[1]
  if save() == 0 and call('EXISTS', full) == 0 then
    call('DEL', past) -- nobody waits, so nobody has had more than others
  elseif v > began then
    call('ZREMRANGEBYSCORE', past, '-inf', v)
  end
  if rate > 0 then call('ZREMRANGEBYSCORE', tat, '-inf', time) end
  return soonest and math.max(0, tonumber(soonest) - time) or -1
end
return source
