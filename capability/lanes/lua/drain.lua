-- Move parked jobs back to the taking end of the queue's list, when lanes are off.
-- KEYS   see common.lua; 8 is not used; 12 queues
-- ARGV   1 queue, 2 jobs to move at most
-- Result jobs moved; -1 if lanes are on
-- Atomic so that each job is in one list. The newest job of a lane moves first, so the order within
-- a lane stays.
if on then return -1 end
gather()
local moved, most = 0, tonumber(ARGV[2])
for _, set in ipairs({full, ready, wait}) do
  while moved < most do
    local lane = call('ZRANGE', set, 0, 0)[1]
    if not lane then break end
    while moved < most and call('LMOVE', list_of(lane), list, 'LEFT', 'RIGHT') do
      moved = moved + 1
    end
    if call('EXISTS', list_of(lane)) == 1 then break end
    call('ZREM', set, lane)
  end
end
parked = math.max(parked - moved, 0)
save()
if moved > 0 then call('SADD', KEYS[12], ARGV[1]) end
if call('EXISTS', ready) + call('EXISTS', full) + call('EXISTS', wait) == 0 then
  call('DEL', past, tat, bell)
end
return moved
