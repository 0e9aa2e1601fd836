#!lua flags=no-writes
-- Look for owners that may be dead. Its cost does not grow with the number of the living.
-- KEYS   1 kyu:leases, 2 kyu:host:HOST, the owners of this machine, if it is known
-- ARGV   1 identity that asks, 2 owners in a part of the answer at most, 3 fenced owners to
--        skip, 4 milliseconds from now on after which no lease can end
-- Result {Redis's time in ms, fenced, ended, {identity, score, ...} neighbours}: owners that
--        are fenced, whose leases have ended by Redis's clock or end too late to be true (the
--        clock was set back), each with its score; and the next owners on this machine after
--        the one that asks, by name, whose processes it can see
-- Atomic is not needed; one call is.
local call, n = redis.call, ARGV[2]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fenced = call('ZRANGEBYSCORE', KEYS[1], '-inf', '(0', 'WITHSCORES', 'LIMIT', ARGV[3], n)
local ended = call('ZRANGEBYSCORE', KEYS[1], 0, '(' .. now, 'WITHSCORES', 'LIMIT', 0, n)
local late = call('ZRANGEBYSCORE', KEYS[1], '(' .. (now + ARGV[4]), '+inf', 'WITHSCORES', 'LIMIT', 0, n)
for _, x in ipairs(late) do ended[#ended + 1] = x end
local beside = {}
if KEYS[2] then
  local near = redis.pcall('ZRANGEBYLEX', KEYS[2], '(' .. ARGV[1], '+', 'LIMIT', 0, 3)
  if #near < 3 and not near.err then
    for _, x in ipairs(call('ZRANGEBYLEX', KEYS[2], '-', '(' .. ARGV[1], 'LIMIT', 0, 3 - #near)) do near[#near + 1] = x end
  end
  for _, identity in ipairs(near) do
    local score = call('ZSCORE', KEYS[1], identity)
    if score then beside[#beside + 1], beside[#beside + 2] = identity, score end
  end
end
return {now, fenced, ended, beside}
