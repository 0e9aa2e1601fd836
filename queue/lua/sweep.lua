#!lua flags=no-writes
-- Find owners that may be dead. The cost does not grow with the number of living owners.
-- KEYS   1 kyu:leases, 2 kyu:sifts, 3 kyu:host:HOST, the owners of this machine, if it is known
-- ARGV   1 the caller's identity, 2 the most owners in each part of the result, 3 fenced owners
--        to skip, 4 milliseconds from now after which no true lease can end
-- Result {Redis's time in ms, fenced, ended, neighbours, sifts}, the first three lists of identity,
--        score, ...:
--        owners that are fenced; owners whose lease has ended by Redis's clock, or ends too late
--        to be true (the clock was set back); and the next three owners of this machine by
--        name, after the caller, that are not fenced: the caller can see their processes; and
--        of kyu:sifts queue, id of the operation that goes through it, ...
-- Atomic is not needed: the script saves round trips.
local call, n = redis.call, ARGV[2]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fenced = call('ZRANGEBYSCORE', KEYS[1], '-inf', '(0', 'WITHSCORES', 'LIMIT', ARGV[3], n)
local ended = call('ZRANGEBYSCORE', KEYS[1], 0, '(' .. now, 'WITHSCORES', 'LIMIT', 0, n)
local late = call('ZRANGEBYSCORE', KEYS[1], '(' .. (now + ARGV[4]), '+inf',
  'WITHSCORES', 'LIMIT', 0, n)
for _, x in ipairs(late) do ended[#ended + 1] = x end
local beside = {}

-- near adds owners of a range of neighbours that are not fenced, until there are three. It reads
-- three, and more only if some of them are fenced.
local function near(from, to)
  local offset = 0
  for _, size in ipairs({3, 50}) do
    local page = redis.pcall('ZRANGEBYLEX', KEYS[3], from, to, 'LIMIT', offset, size)
    for _, identity in ipairs(page.err and {} or page) do
      local score = #beside < 6 and call('ZSCORE', KEYS[1], identity)
      if score and tonumber(score) >= 0 then
        beside[#beside + 1], beside[#beside + 2] = identity, score
      end
    end
    offset = offset + size
    if #beside >= 6 or #page < size then return end
  end
end
if KEYS[3] then
  near('(' .. ARGV[1], '+')
  if #beside < 6 then near('-', '(' .. ARGV[1]) end
end
local sifts = redis.pcall('HGETALL', KEYS[2])
return {now, fenced, ended, beside, sifts.err and {} or sifts}
