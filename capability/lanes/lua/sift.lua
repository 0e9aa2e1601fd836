-- Move jobs from the taking end of a queue's list to their lanes.
-- KEYS   see common.lua; 8 is not used; 12 the lease of the caller
-- ARGV   1 the rule's revision from which the lanes follow, 2 the identity of the caller, 3 bytes
--        from which on a job is too large to be read, then per job, the one to be taken next at
--        first, its lane and its bytes, or '' if it is too large
-- Result {jobs moved: those before the first that is not where the caller saw it; 1 if the list has
--        others, else 0}, or {-1, 1} if the rule is another one now, or lanes are off
-- Atomic so that each job is in one list. The bytes are compared, so jobs move in the order of the
-- queue even if several processes sift at once.
if not on or call('HGET', rule, 'rev') ~= ARGV[1] then return {-1, 1} end
gather()
local n, limit = (#ARGV - 3) / 2, tonumber(ARGV[3])
local jobs = n > 0 and call('RPOP', list, n) or {}
local lanes, by, moved = {}, {}, 0
for i = 1, #jobs do
  local lane, job = ARGV[2 * i + 2], ARGV[2 * i + 3]
  if job == '' and #jobs[i] > limit then job = jobs[i] end -- the fetch that takes it buries it
  if jobs[i] ~= job then break end
  if not by[lane] then
    by[lane] = {}
    lanes[#lanes + 1] = lane
  end
  table.insert(by[lane], job)
  moved = i
end
for i = #jobs, moved + 1, -1 do call('RPUSH', list, jobs[i]) end
local new = {} -- lanes that had no jobs
for _, lane in ipairs(lanes) do
  if call('LPUSH', list_of(lane), unpack(by[lane])) == #by[lane] then new[#new + 1] = lane end
end
if #new > 0 then
  if max > 0 then count_all(new) end
  local closed, tags = call('ZMSCORE', wait, unpack(new)), call('ZMSCORE', past, unpack(new))
  for i, lane in ipairs(new) do
    if not closed[i] then enlist(lane, math.max(v, tonumber(tags[i] or 0))) end
  end
end
parked = parked + moved
save()
if call('GET', KEYS[12]) == ARGV[2] then call('DEL', KEYS[12]) end
return {moved, call('EXISTS', list)}
