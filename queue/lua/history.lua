#!lua
-- Add to the history of queues: how many jobs left them, and how many wait.
-- KEYS   1 kyu:owner:IDENTITY, then per queue its list, what a source keeps besides it, if there is
--        one (a list, and a hash with the field parked), and its rings, the finest first
-- ARGV   1 field of the owner, 2 number of this flush, 3 number of rings, 4 largest payload in
--        bytes that is returned whole, 5 bytes of the head and 6 of the tail of a larger one,
--        7 keys of a source per queue, 2 or 0,
--        then per ring its step in seconds and its number of slots,
--        then per queue: jobs out, jobs that left the list (negative: more came back)
-- Result {seconds, microseconds, per queue 0, 1, or a list}. 0: a ring has a wrong type, and the
--        other rings were written; 1: written; a list: the caller is the first of this slot of
--        the finest ring, and writes the age of the oldest job: {}, {payload}, or {head, tail}.
--        {seconds, microseconds} if the owner has no record: nothing is written
-- Atomic so that the numbers of many processes add up, and so that length and oldest job belong
-- to one moment. A flush whose reply was lost is sent again with the same number, and counts
-- once. Redis's own time chooses the slot. A full Redis refuses this script: only history is
-- lost.
-- A ring gets its whole length at once: one that grows takes up to twice its memory.
-- A point has five numbers of 4 bytes: slot, jobs that wait, tenths of a second, out, left.
local try, floor, char = redis.pcall, math.floor, string.char
local function number(s, at)
  local a, b, c, d = string.byte(s, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end
local function bytes(n)
  return char(floor(n / 16777216) % 256, floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end
local function most(n) return math.min(n, 4294967295) end
local time = redis.call('TIME')
local result, now = {tonumber(time[1]), tonumber(time[2])}, tonumber(time[1])
local flush = try('HMGET', KEYS[1], 'queues', ARGV[1])
if flush.err or not flush[1] then return result end
local again = flush[2] == ARGV[2]
if not again then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local rings, kept = tonumber(ARGV[3]), tonumber(ARGV[7])

-- add writes a point, and returns whether it is the first of its slot, or nothing if the key has
-- a wrong type.
local function add(key, ring, size, out, left)
  local step, slots = tonumber(ARGV[6 + 2 * ring]), tonumber(ARGV[7 + 2 * ring])
  local slot = floor(now / step)
  local at = slot % slots * 20
  local old = try('GETRANGE', key, at, at + 19)
  if type(old) ~= 'string' then return end
  local first, age = #old < 20 or number(old, 1) ~= slot, bytes(0)
  if not first then
    age, out, left = string.sub(old, 9, 12), number(old, 13) + out, number(old, 17) + left
  end
  if #old < 20 then redis.call('SETRANGE', key, slots * 20 - 1, char(0)) end
  redis.call('SETRANGE', key, at, bytes(slot) .. bytes(most(size)) .. age .. bytes(most(out)) ..
    bytes(left))
  redis.call('EXPIRE', key, step * slots)
  return first
end

for q = 0, (#KEYS - 1) / (1 + kept + rings) - 1 do
  local key, at = 2 + q * (1 + kept + rings), 8 + 2 * rings + 2 * q
  local size = try('LLEN', KEYS[key])
  if type(size) ~= 'number' then size = 0 end
  local listed = size
  if kept > 0 then
    local arrived, parked = try('LLEN', KEYS[key + 1]), try('HGET', KEYS[key + 2], 'parked')
    if type(arrived) == 'number' then size = size + arrived end
    if type(parked) == 'string' then size = size + math.max(tonumber(parked) or 0, 0) end
  end
  local out, left = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  if again then out, left = 0, 0 end
  local reply, first = 1, false
  for ring = 1, rings do
    local fresh = add(KEYS[key + kept + ring], ring, size, out, left)
    if fresh == nil then reply = 0 end
    first = first or ring == 1 and fresh
  end
  if first and reply == 1 then
    reply = {}
    local raw = listed > 0 and redis.call('LINDEX', KEYS[key], -1)
    if raw and #raw <= tonumber(ARGV[4]) then
      reply = {raw}
    elseif raw then
      reply = {string.sub(raw, 1, ARGV[5]), string.sub(raw, -ARGV[6])}
    end
  end
  result[#result + 1] = reply
end
return result
