-- Free the place that a delivery had in a lane, in the script that removes the delivery.
-- args   1 token, 2 '1' if the script has just put the job at the taking end of its queue's list,
--        3 the instant until which the lane is closed, in milliseconds, or '0'
-- A job that goes back is the first of its lane again, so the order within a lane holds over
-- crashes, stops and closed lanes.
local lane = call('HGET', inlane, args[1])
if not lane then return end
call('HDEL', inlane, args[1])
local job = args[2] == '1' and on and call('RPOP', list)
if job then
  call('RPUSH', list_of(lane), job)
  parked = parked + 1
end
release(lane)
settle_lanes()
local till = tonumber(args[3])
if till > 0 then
  shut(lane, till)
elseif job and not call('ZSCORE', wait, lane) and not call('ZSCORE', ready, lane) then
  call('ZREM', full, lane)
  enlist(lane, tag(lane))
end
save()
