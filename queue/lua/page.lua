#!lua flags=no-writes
-- Read a page of a sorted set: members with scores between two limits, in order.
-- KEYS   1 the sorted set
-- ARGV   1 the highest score, 2 number of members to skip, 3 the most members to return, 4 the
--        most bytes that they may have together (the first is always returned), 5 the lowest
--        score
-- Result {number of members between the limits, member, score, ...}
-- Atomic so that no member is missed because another leaves the set. Members are read in small
-- steps, so that not many more than the allowed bytes are copied: the first step reads one.
local call, total, key = redis.call, 0, KEYS[1]
local size, below = call('ZCOUNT', key, ARGV[5], ARGV[1]), 0
if ARGV[5] ~= '-inf' then below = call('ZCOUNT', key, '-inf', '(' .. ARGV[5]) end
local first, out, step = below + tonumber(ARGV[2]), {size}, 1
local behind = math.min(first + ARGV[3], below + size)
local at = first
while at < behind and total < tonumber(ARGV[4]) do
  local some = call('ZRANGE', key, at, math.min(at + step, behind) - 1, 'WITHSCORES')
  for i = 1, #some, 2 do
    total = total + #some[i]
    if total > tonumber(ARGV[4]) and at > first then return out end
    out[#out + 1], out[#out + 2] = some[i], some[i + 1]
    at = at + 1
  end
  step = 20
end
return out
