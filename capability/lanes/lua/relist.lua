-- Make lanes ready whose jobs waited for a limit that is higher now.
-- KEYS   see common.lua; 8 is not used
-- ARGV   1 lanes to pass over, 2 lanes to look at
-- Result lanes that were looked at and stay full
-- Atomic so that a lane is in one of the sets.
local lanes, stay = call('ZRANGE', full, ARGV[1], ARGV[1] + ARGV[2] - 1), 0
if #lanes > 0 then count_all(lanes) end
for _, lane in ipairs(lanes) do
  if max > 0 and count(lane) >= max then
    stay = stay + 1
  else
    append(to_ready, call('ZSCORE', full, lane), lane)
    call('ZREM', full, lane)
  end
end
save()
return {stay, #lanes - stay}
