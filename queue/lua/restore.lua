#!lua flags=allow-oom
-- Put deleted jobs back from the trash: jobs of a sorted set with their scores, jobs of a queue to
-- the end that is taken next, in their order.
-- KEYS   1 the trash, 2 the sorted set or the queue's list, 3 queues
-- ARGV   1 name of the queue, or '' for a sorted set, 2 jobs to put back at most, 3 bytes of them
--        at most (the first is always put back)
-- Result {jobs put back, jobs left in the trash}, or {-1} if a key has a wrong type
-- Atomic so that each job is in one place, with the same bytes.
local call, trash, to, n, bytes = redis.call, KEYS[1], KEYS[2], 0, 0
local function fits(key, kind)
  local holds = call('TYPE', key).ok
  return holds == kind or holds == 'none'
end
local most, size = tonumber(ARGV[2]), tonumber(ARGV[3])
if ARGV[1] ~= '' then
  if not (fits(trash, 'list') and fits(to, 'list') and fits(KEYS[3], 'set')) then return {-1} end
  while n < most and (n == 0 or bytes < size) do
    local raw = call('LMOVE', trash, to, 'LEFT', 'RIGHT') -- the newest first
    if not raw then break end
    n, bytes = n + 1, bytes + #raw
  end
  if n > 0 then call('SADD', KEYS[3], ARGV[1]) end
  return {n, call('LLEN', trash)}
end
if not (fits(trash, 'zset') and fits(to, 'zset')) then return {-1} end
while n < most and (n == 0 or bytes < size) do
  local page = call('ZRANGE', trash, 0, n == 0 and 0 or 19, 'WITHSCORES')
  if #page == 0 then break end
  for i = 1, #page, 2 do
    call('ZADD', to, page[i + 1], page[i])
    call('ZREM', trash, page[i])
    n, bytes = n + 1, bytes + #page[i]
  end
end
return {n, call('ZCARD', trash)}
