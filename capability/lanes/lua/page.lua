-- Read the jobs at the taking end of a queue's list, for a process that will sift them.
-- KEYS   1 the queue's list, 2 the lease of the process that sifts it, 3 the jobs that doorbells
--        took from the list, which sift.lua puts back: they come first
-- ARGV   1 identity of the caller, 2 milliseconds of the lease, 3 jobs at most, 4 bytes of all of
--        them at most, but for the first, 5 bytes from which on a job is too large to be read
-- Result the jobs, the one to be taken next at first, '' in the place of one that is too large;
--        none if the list is empty; -1 if another process sifts the queue
-- Atomic so that one process of many reads and sifts a page. The lease only saves work: sift.lua
-- moves no job twice without it.
local call = redis.call
if call('EXISTS', KEYS[1], KEYS[3]) == 0 then return {} end
local other = call('GET', KEYS[2])
if other and other ~= ARGV[1] then return -1 end
call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local jobs, page, bytes = call('LRANGE', KEYS[1], -ARGV[3], -1), {}, 0
for _, job in ipairs(call('LRANGE', KEYS[3], 0, -1)) do jobs[#jobs + 1] = job end
for i = #jobs, math.max(1, #jobs - ARGV[3] + 1), -1 do
  local job = #jobs[i] <= tonumber(ARGV[5]) and jobs[i] or ''
  bytes = bytes + #job
  if #page > 0 and bytes > tonumber(ARGV[4]) then break end
  page[#page + 1] = job
end
return page
