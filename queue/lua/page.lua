#!lua flags=no-writes
-- Read a page of a sorted set: members with scores up to a limit, in order.
-- KEYS   1 the sorted set
-- ARGV   1 the highest score, 2 how many of those members to pass over, 3 the most
--        members, 4 bytes that they may have together (the first always goes),
--        5 'desc' if the highest score comes first, else 'asc'
-- Result {number of members up to that score, member, score, ...}
-- Atomic so that no member is passed over while another leaves the set. Members are
-- read one by one: a page of the largest would else be copied as a whole.
local call, total, key, desc = redis.call, 0, KEYS[1], ARGV[5] == 'desc'
local size = call('ZCOUNT', key, '-inf', ARGV[1])
local beyond = desc and call('ZCARD', key) - size or 0 -- they come first then
local first, out = tonumber(ARGV[2]), {size}
for at = first, math.min(first + ARGV[3], size) - 1 do
  if total >= tonumber(ARGV[4]) then break end -- to read the next would be in vain
  local rank = beyond + at
  local one = call(desc and 'ZREVRANGE' or 'ZRANGE', key, rank, rank, 'WITHSCORES')
  total = total + #one[1]
  if total > tonumber(ARGV[4]) and at > first then break end
  out[#out + 1], out[#out + 2] = one[1], one[2]
end
return out
