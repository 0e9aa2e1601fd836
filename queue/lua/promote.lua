#!lua flags=allow-oom
-- Move members of a sorted set to where they go next.
-- KEYS   1 the sorted set, 2 queues, 3 dead, then the lists of queues
-- ARGV   1 score for the dead set, 2 scores up to this are too old for it, 3 its size
--        limit, 4 length of a list key's prefix, then per member: the member, its new
--        payload, the index of its list (-1: to the dead set)
-- Result the number of members moved
-- Atomic so that a crash between removal and push loses nothing. ZREM decides: of
-- several pollers, Ruby's too, only the one that removed a member pushes it.
local moved, buried = 0, false
for at = 5, #ARGV, 3 do
  if redis.call('ZREM', KEYS[1], ARGV[at]) == 1 then
    moved = moved + 1
    local q = tonumber(ARGV[at + 2])
    if q < 0 then
      redis.call('ZADD', KEYS[3], ARGV[1], ARGV[at + 1])
      buried = true
    else
      local list = KEYS[q + 4]
      redis.call('SADD', KEYS[2], string.sub(list, ARGV[4] + 1))
      redis.call('LPUSH', list, ARGV[at + 1])
    end
  end
end
if buried then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[2])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -ARGV[3])
end
return moved
