-- Make lanes ready whose jobs waited for a limit that is higher now.
-- KEYS   see common.lua; 8 is not used
-- ARGV   1 lanes to pass over, 2 lanes to look at
-- Result lanes that were looked at and stay full
-- Atomic so that a lane is in one of the sets.
local stay, ready_now = 0, 0
for _, lane in ipairs(call('ZRANGE', full, ARGV[1], ARGV[1] + ARGV[2] - 1)) do
  if max == 0 or tonumber(call('HGET', busy, lane) or 0) < max then
    local at = call('ZSCORE', full, lane)
    call('ZREM', full, lane)
    call('ZADD', ready, at, lane)
    ready_now = ready_now + 1
  else
    stay = stay + 1
  end
end
ring()
return {stay, ready_now}
