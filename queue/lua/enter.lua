#!lua flags=allow-oom
-- Let a bulk operation go through a queue, unless another one does.
-- KEYS   1 the operation's hash, 2 kyu:sifts
-- ARGV   1 to 4 see parts/operation.lua, 5 name of the queue, 6 id of the operation
-- Result 1, or an error that begins with OPERATION waits for, then the id of the other operation
-- Atomic so that one operation at a time goes through a queue: another one would not see the jobs
-- that the first has sifted, and the first would miss its edge.
-- (operation)
local other = call('HGET', KEYS[2], ARGV[5])
if other and other ~= ARGV[6] then return redis.error_reply('OPERATION waits for ' .. other) end
call('HSET', KEYS[2], ARGV[5], ARGV[6])
note(0)
return 1
