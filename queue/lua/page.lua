#!lua flags=no-writes
-- Read a page of a sorted set: members with scores up to a limit, in order.
-- KEYS   1 the sorted set
-- ARGV   1 the highest score, 2 number of those members to skip, 3 the most members to
--        return, 4 the most bytes that they may have together (the first is always
--        returned)
-- Result {number of members up to that score, member, score, ...}
-- Atomic so that no member is missed because another leaves the set. Members are read one
-- by one, so that not more than the allowed bytes are copied.
local call, total, key = redis.call, 0, KEYS[1]
local size = call('ZCOUNT', key, '-inf', ARGV[1])
local first, out = tonumber(ARGV[2]), {size}
for at = first, math.min(first + ARGV[3], size) - 1 do
  if total >= tonumber(ARGV[4]) then break end -- the next one cannot fit
  local one = call('ZRANGE', key, at, at, 'WITHSCORES')
  total = total + #one[1]
  if total > tonumber(ARGV[4]) and at > first then break end
  out[#out + 1], out[#out + 2] = one[1], one[2]
end
return out
