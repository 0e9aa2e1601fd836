#!lua
-- Add to the history of classes: runs, failures and run time.
-- KEYS   1 kyu:owner:IDENTITY, 2 kyu:history:classes, then the ring of each class
-- ARGV   1 field of the owner, 2 number of this flush, 3 step of the ring in seconds, 4 its number
--        of slots, 5 how many classes may have a ring, then per class: its name, runs, failures,
--        milliseconds
-- Result {how many classes have no ring, because too many others have one, how many keys have a
--        wrong type}, or {} if the owner has no record: nothing is written
-- Atomic so that the numbers of many processes add up. A flush whose reply was lost is sent again
-- with the same number, and counts once. Anybody can push any class, so the number of rings has
-- a limit. The class of a ring that has expired makes room for another.
-- A ring gets its whole length at once, as in `history`.
-- A point has the slot, runs and failures, of 4 bytes each, and milliseconds, of 8.
local try, floor, char = redis.pcall, math.floor, string.char
local function number(s, at)
  local a, b, c, d = string.byte(s, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end
local function bytes(n)
  return char(floor(n / 16777216) % 256, floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end
local function most(n) return math.min(n, 4294967295) end
local now = tonumber(redis.call('TIME')[1])
local flush = try('HMGET', KEYS[1], 'queues', ARGV[1])
if flush.err or not flush[1] then return {} end
if flush[2] == ARGV[2] then return {0, 0} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local step, slots, limit = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local slot = floor(now / step)
local at = slot % slots * 20
local without, wrong = 0, 0
if type(try('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - step * slots)) ~= 'number' then
  return {0, 1} -- what is no list of classes cannot limit them
end
local room = limit - redis.call('ZCARD', KEYS[2])
for i = 3, #KEYS do
  local name, old = 6 + 4 * (i - 3), try('GETRANGE', KEYS[i], at, at + 19)
  local known = redis.call('ZSCORE', KEYS[2], ARGV[name])
  if type(old) ~= 'string' then
    wrong = wrong + 1
  elseif not known and room < 1 then
    without = without + 1
  else
    if not known then room = room - 1 end
    local runs, failed, ms = tonumber(ARGV[name + 1]), tonumber(ARGV[name + 2]),
      tonumber(ARGV[name + 3])
    if #old == 20 and number(old, 1) == slot then
      runs, failed = runs + number(old, 5), failed + number(old, 9)
      ms = ms + number(old, 13) * 4294967296 + number(old, 17)
    end
    redis.call('ZADD', KEYS[2], now, ARGV[name])
    if #old < 20 then redis.call('SETRANGE', KEYS[i], slots * 20 - 1, char(0)) end
    redis.call('SETRANGE', KEYS[i], at, bytes(slot) .. bytes(most(runs)) ..
      bytes(most(failed)) .. bytes(floor(ms / 4294967296)) .. bytes(ms % 4294967296))
    redis.call('EXPIRE', KEYS[i], step * slots)
  end
end
return {without, wrong}
