-- Take the jobs of a queue from its lanes: the source of queue/lua/parts/source.lua.
-- The lane with the least virtual time comes first, and moves on by one job over its weight, so
-- lanes have turns in the proportion of their weights, however many jobs each has.
for i, want in ipairs({'hash', 'zset', 'zset', 'zset', 'zset', 'hash', 'zset', 'hash', 'list', 'list',
  'list'}) do
  local holds = call('TYPE', keys[i]).ok
  if holds ~= want and holds ~= 'none' then error({err = 'WRONGTYPE ' .. keys[i]}) end
end
local lane, at, job, arrival -- of the last call of next
local time = on and now()
gather()
if on then open(time) end

-- late returns the instant at which a lane's rate allows its next job, or nil if it does now. It
-- sets arrival, the lane's new theoretical arrival time (GCRA).
local function late()
  local interval = 1000 / rate
  local due = math.max(tonumber(call('ZSCORE', tat, lane) or 0), time)
  arrival = due + interval
  if due - (burst - 1) * interval > time then return math.ceil(due - (burst - 1) * interval) end
end

local source = {on = on}

source.done = function(tokens)
  for i, name in ipairs(call('HMGET', inlane, unpack(tokens))) do
    if name then
      release(name)
      call('HDEL', inlane, tokens[i])
    end
  end
  save()
end

source.next = function()
  while total == 0 or running < total do
    local first = call('ZPOPMIN', ready)
    if #first == 0 then return nil end
    lane, at, arrival = first[1], tonumber(first[2]), nil
    local limited, opens = lane ~= '' and max > 0, nil
    if limited and tonumber(call('HGET', busy, lane) or 0) >= max then -- the limit was lowered
      call('ZADD', full, at, lane)
    else
      if lane ~= '' and rate > 0 then opens = late() end
      job = not opens and call('RPOP', list_of(lane))
      if job then return job end
      if opens then
        call('ZADD', past, at, lane)
        call('ZADD', wait, opens, lane)
      end
    end
  end
end

source.back = function()
  call('RPUSH', list_of(lane), job)
  call('ZADD', ready, at, lane)
end

-- onward lets the lane go on behind the job that next took out. n of its jobs run.
local function onward(after, n)
  parked = parked - 1
  if call('EXISTS', list_of(lane)) == 1 then
    enlist(lane, after, n)
  else
    call('ZADD', past, after, lane)
  end
end

source.gone = function() onward(at, tonumber(call('HGET', busy, lane) or 0)) end

source.took = function(token)
  call('HSET', inlane, token, lane)
  if arrival then call('ZADD', tat, arrival, lane) end
  running, v = running + 1, math.max(v, at)
  local weight = weighted and tonumber(call('HGET', rule, 'w:' .. lane) or 1) or 1
  onward(at + 1 / weight, call('HINCRBY', busy, lane, 1))
end

source.more = function() return call('EXISTS', list) == 1 end

source.rest = function()
  if call('EXISTS', ready, full) == 0 then
    call('DEL', past) -- nobody waits, so nobody has had more than others
  elseif v > began then
    call('ZREMRANGEBYSCORE', past, '-inf', v)
  end
  if rate > 0 then call('ZREMRANGEBYSCORE', tat, '-inf', time) end
  save()
  ring()
  local first = call('ZRANGE', wait, 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, tonumber(first[2]) - time) or -1
end
return source
