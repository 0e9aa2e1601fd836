-- Close a lane for a time, or open it.
-- KEYS   see common.lua; 8 is not used
-- ARGV   1 lane, 2 milliseconds for which it is closed from now on; 0 opens it
-- Result 1
-- Atomic so that a lane with jobs stays in one of the sets.
local lane, ms = ARGV[1], tonumber(ARGV[2])
if ms > 0 then
  shut(lane, now() + ms)
else
  call('ZADD', wait, 'XX', 0, lane)
  open(0)
end
save()
return 1
