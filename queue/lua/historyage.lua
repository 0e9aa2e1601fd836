#!lua
-- Write the ages of the oldest jobs of queues into points that `history` has just written.
-- KEYS   per queue its rings, the finest first
-- ARGV   1 time of that call in seconds, 2 number of rings, then per ring its step in seconds and
--        its number of slots, then per queue the age in tenths of a second
-- Result 1
-- Atomic so that the largest age of a slot stays when two processes write at once. A point that
-- is gone, or is of another slot, is left alone, and a key of a wrong type too.
local floor, char = math.floor, string.char
local function number(s, at)
  local a, b, c, d = string.byte(s, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end
local function bytes(n)
  return char(floor(n / 16777216) % 256, floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end
local rings = tonumber(ARGV[2])
for i = 1, #KEYS do
  local q, ring = floor((i - 1) / rings), (i - 1) % rings
  local step, slots = tonumber(ARGV[3 + 2 * ring]), tonumber(ARGV[4 + 2 * ring])
  local age, slot = tonumber(ARGV[3 + 2 * rings + q]), floor(tonumber(ARGV[1]) / step)
  local at = slot % slots * 20
  local old = redis.pcall('GETRANGE', KEYS[i], at, at + 11)
  if type(old) == 'string' and #old == 12 and number(old, 1) == slot and number(old, 9) < age then
    redis.call('SETRANGE', KEYS[i], at + 8, bytes(age))
  end
end
return 1
