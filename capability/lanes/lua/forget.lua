-- Forget the rule of a queue whose lanes are off and hold nothing.
-- KEYS   see common.lua; 8 is not used; 12 kyu:lanes, the set of the queues with a rule
-- ARGV   1 queue
-- Result 1; 0 if lanes are on or hold something
-- Atomic so that no job that a doorbell took, or that is parked meanwhile, is deleted.
gather()
if values[1] == 'on' or running > 0 or tonumber(call('HGET', rule, 'parked') or 0) > 0 then
  return 0
end
call('DEL', rule, ready, full, wait, past, busy, tat, bell)
call('SREM', KEYS[12], ARGV[1])
return 1
