#!lua flags=allow-oom
-- Ask for a schedule, and say that this process is still there. Of several different schedules with
-- one name, the one whose process asked for its number last is the owner. If no process of the
-- owner has asked for a while, any other takes over.
-- KEYS   1 the owner of the schedule, a hash
-- ARGV   1 number of the process, 0 if it has none yet; 2 digest of its schedule; 3 names of its
--        entries as JSON; 4 milliseconds of silence after which the owner is gone
-- Result 1 if the schedule owns the name, else 0; the number of the process; milliseconds by
--        Redis's clock
-- Atomic so that two schedules never both count, and a number is given to one process.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local owner = redis.call('HMGET', KEYS[1], 'digest', 'epoch', 'seen')
local epoch, seen = tonumber(owner[2] or 0), tonumber(owner[3] or 0)
local mine = tonumber(ARGV[1])
local same = owner[1] == ARGV[2]
local gone = not owner[1] or now - seen > tonumber(ARGV[4])
if mine == 0 or gone and not same then mine = redis.call('HINCRBY', KEYS[1], 'given', 1) end
if not same and mine <= epoch then return {0, mine, now} end
redis.call('HSET', KEYS[1], 'epoch', math.max(mine, epoch), 'seen', string.format('%.0f', now))
if not same then
  redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'names', ARGV[3])
end
return {1, mine, now}
