#!lua flags=allow-oom
-- Pause an entry, or let it go on.
-- KEYS   1 kyu:cron:NAME
-- ARGV   1 pause or resume
-- Result 1, or 0 if there is no such entry
-- Atomic so that an entry that was deleted meanwhile does not come back. An entry that goes on
-- begins now: slots of the pause are not made up for.
if redis.call('HEXISTS', KEYS[1], 'spec') == 0 then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local text = string.format('%.0f', now)
if ARGV[1] == 'pause' then
  redis.call('HSETNX', KEYS[1], 'paused', text)
else
  redis.call('HDEL', KEYS[1], 'paused')
  if tonumber(redis.call('HGET', KEYS[1], 'last') or 0) < now then
    redis.call('HSET', KEYS[1], 'last', text)
  end
end
return 1
