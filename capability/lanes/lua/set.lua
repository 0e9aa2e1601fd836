-- Change the rule of a queue's lanes.
-- KEYS   see common.lua; 8 is not used; 12 kyu:lanes, the set of the queues with a rule
-- ARGV   1 queue, 2 the revision that the caller has read, or '' for any, then the fields and
--        values to set
-- Result the revision; -1 if the revision is another one
-- Atomic so that of two people who change a rule at once the second is told.
if ARGV[2] ~= '' and ARGV[2] ~= (call('HGET', rule, 'rev') or '0') then return -1 end
for _, field in ipairs(call('HKEYS', rule)) do
  if string.sub(field, 1, 2) == 'w:' then call('HDEL', rule, field) end
end
call('HSET', rule, unpack(ARGV, 3))
call('SADD', KEYS[12], ARGV[1])
return call('HINCRBY', rule, 'rev', 1)
