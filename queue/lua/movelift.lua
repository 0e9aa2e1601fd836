#!lua flags=allow-oom
-- Take jobs out of their place in a draining shard, and keep them in kyu:moving, until they are in
-- another shard.
-- KEYS   1 the place: a sorted set, or the list of a queue, 2 kyu:moving, a hash, 3 kyu:sifts
-- ARGV   1 zset, or the name of the queue after "list ", then per job: its bytes, its id, and the
--        name of the shard that it goes to with the name of its place, in one line. The jobs of a
--        list are in the order in which they are taken: the oldest first
-- Result per job its score if it was taken ('' for a list), 0 if it is not there: of a list, not at
--        the taking end; or {-1} if a key has a wrong type, or {-2} if a bulk operation goes
--        through the queue
-- Atomic so that a job is in its place or in kyu:moving, never in both or in none, and so that the
-- shard to which it goes is written down before any shard can have it. A value of kyu:moving has
-- three lines: the score, or nothing; the shard and the place; and the bytes of the job.
local call, place, moving, result = redis.call, KEYS[1], KEYS[2], {}
local function fits(key, kind)
  local holds = call('TYPE', key).ok
  return holds == kind or holds == 'none'
end
local set = ARGV[1] == 'zset'
if not (fits(place, set and 'zset' or 'list') and fits(moving, 'hash')) then return {-1} end
if not set and fits(KEYS[3], 'hash') and call('HEXISTS', KEYS[3], string.sub(ARGV[1], 6)) == 1 then
  return {-2} -- the operation has noted how far it is in the list
end
for at = 2, #ARGV, 3 do
  local raw, score = ARGV[at], ''
  local mine
  if set then
    score = call('ZSCORE', place, raw)
    mine = score
  else
    mine = call('LINDEX', place, -1) == raw -- workers may have taken jobs before it
  end
  if mine then
    call('HSET', moving, ARGV[at + 1], score .. '\n' .. ARGV[at + 2] .. '\n' .. raw)
    if set then call('ZREM', place, raw) else call('RPOP', place) end
  end
  result[#result + 1] = mine and score or 0
end
return result
