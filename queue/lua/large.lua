#!lua flags=allow-oom
-- Move what is too large to be read from a landing list to the dead set, as it is.
-- KEYS   1 the landing list, 2 dead
-- ARGV   1 bytes that a payload may have, 2 score for the dead set
-- Result the number of payloads moved
-- Atomic so that a payload is in one of the two; and here, so that no client reads it.
local moved = 0
for i = redis.call('LLEN', KEYS[1]) - 1, 0, -1 do
  local raw = redis.call('LINDEX', KEYS[1], i)
  if #raw > tonumber(ARGV[1]) then
    redis.call('LREM', KEYS[1], -1, raw)
    redis.call('ZADD', KEYS[2], ARGV[2], raw)
    moved = moved + 1
  end
end
return moved
