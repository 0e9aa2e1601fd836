-- Turn the lanes of a queue off for a time, for a bulk operation on the queue, or on again.
-- KEYS   see common.lua; 8 is not used
-- ARGV   1 milliseconds from now on; 0 turns them on
-- Result jobs that are parked; -1 if the queue has no rule
-- Atomic so that no rule is made for a queue that has none.
if not values[1] then return -1 end
if ARGV[1] == '0' then
  call('HDEL', rule, 'until')
else
  call('HSET', rule, 'until', now() + ARGV[1])
end
return parked
