#!lua flags=allow-oom
-- Forget jobs that are in another shard now.
-- KEYS   1 kyu:moving, then the positions of iterable jobs that the jobs name
-- ARGV   per job its id, and the index of its position or 0
-- Result per job 1 if it was there, 0 if another mover has dropped it. A copy of this script
--        carries out effects at (effects): it releases the job's locks
-- Atomic so that what a job held here is released once, and by the mover that drops it: the job may
-- hold it here again later, when it has come back.
local result = {}
for at = 1, #ARGV, 2 do
  local code = redis.call('HDEL', KEYS[1], ARGV[at])
  if code == 1 and ARGV[at + 1] ~= '0' then redis.call('UNLINK', KEYS[tonumber(ARGV[at + 1])]) end
  result[#result + 1] = code
  -- (effects)
end
return result
