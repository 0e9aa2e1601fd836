#!lua flags=no-writes
-- Read the last points of rings.
-- KEYS   1 and more: rings of the same kind
-- ARGV   1 step of the rings in seconds, 2 their number of slots, 3 how many slots to read up to
--        the present one, at most all, 4 bytes of a point
-- Result {seconds, microseconds, then two strings of points per ring}: the slots in order, the
--        newest last. The second one is '' unless the slots go on at the beginning of the ring. A
--        ring that is too short, is not there, or has a wrong type gives fewer bytes
-- Atomic so that time and points belong together: a reader's own clock may be wrong.
local time = redis.call('TIME')
local step, slots, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local width = tonumber(ARGV[4])
local last = math.floor(tonumber(time[1]) / step) % slots
local first = last - n + 1
local result = {tonumber(time[1]), tonumber(time[2])}
local function read(key, from, to)
  local bytes = redis.pcall('GETRANGE', key, from * width, (to + 1) * width - 1)
  return type(bytes) == 'string' and bytes or ''
end
for _, key in ipairs(KEYS) do
  local wraps = first < 0
  result[#result + 1] = wraps and read(key, slots + first, slots - 1) or read(key, first, last)
  result[#result + 1] = wraps and read(key, 0, last) or ''
end
return result
