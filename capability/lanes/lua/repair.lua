-- Count the jobs that hold a place in a lane, and correct the counts of lanes by it.
-- KEYS   see common.lua; 8 is not used; 12 leases, then per owner its tokens with their lanes, a
--        hash, and its in-flight hash
-- ARGV   1 '1' to correct, '' to count, then the identities of the owners
-- Result {places that no delivery holds, lanes with a wrong count, jobs by which they are wrong},
--        all 0 if the counts are right; {-1} if there is an owner that is not named
-- Atomic so that no job begins or ends meanwhile. An owner that is not named may have jobs, so
-- nothing is done then. Bounded by the threads of the fleet, and by the lanes whose jobs run.
local named = {}
for i = 2, #ARGV do named[ARGV[i]] = true end
for _, identity in ipairs(call('ZRANGE', KEYS[12], 0, -1)) do
  if not named[identity] then return {-1} end
end
local fix, stale, held, sum = ARGV[1] == '1', 0, {}, 0
for i = 13, #KEYS, 2 do
  local places = call('HGETALL', KEYS[i])
  for k = 1, #places, 2 do
    if call('HEXISTS', KEYS[i + 1], places[k]) == 1 then
      local lane = places[k + 1]
      held[lane], sum = (held[lane] or 0) + 1, sum + 1
    else
      stale = stale + 1
      if fix then call('HDEL', KEYS[i], places[k]) end
    end
  end
end

local wrong, by, was_busy = 0, 0, call('HGETALL', busy)
-- correct sets the number of jobs of a lane that run.
local function correct(lane, is, was)
  if is == was then return end
  wrong, by = wrong + 1, by + math.abs(is - was)
  if not fix then return end
  counts[lane], changed[lane] = is, true
  local at = (max == 0 or is < max) and call('ZSCORE', full, lane)
  if at then
    call('ZREM', full, lane)
    append(to_ready, at, lane)
  end
end
local counted = {}
for k = 1, #was_busy, 2 do
  counted[was_busy[k]] = true
  correct(was_busy[k], held[was_busy[k]] or 0, tonumber(was_busy[k + 1]))
end
for lane, n in pairs(held) do
  if not counted[lane] then correct(lane, n, 0) end
end
by = math.max(by, math.abs(running - sum))
if fix then
  running = sum
  save()
end
return {stale, wrong, by}
