#!lua flags=allow-oom
-- Settle deliveries: remove each from in flight and store it where its outcome says.
-- KEYS   1 queues, 2 retry, 3 schedule, 4 dead, 5 kyu:held,
--        then per queue its list and its in-flight hash,
--        then the lists and hold sets that jobs go to
-- ARGV   1 scores up to this are too old for the dead set, 2 its size limit, 3 length of
--        a list key's prefix, then per delivery: op, queue index, token, new payload, score,
--        the index in KEYS of the list or hold set to which it goes, and the name of that
--        queue or class
--        op: done | retry | schedule | dead | requeue | forward | hold
-- Result per delivery 1; 0 if it was not in flight any more; -1 if it stays in flight because
--        a key to which it goes has a wrong type
-- Atomic so that a job is always in exactly one place, and so that only its owner settles it:
-- nothing is done for a delivery whose token was not removed. A script is not rolled back, so
-- types are checked before a token is removed. A copy of this script carries out the jobs'
-- effects at (effects) (parts/effects.lua).
local call, result, buried, kinds = redis.call, {}, false, {}

-- fits reports whether a key has the given type or does not exist.
local function fits(key, kind)
  kinds[key] = kinds[key] or call('TYPE', key).ok
  return kinds[key] == kind or kinds[key] == 'none'
end

local sets = {retry = KEYS[2], schedule = KEYS[3], dead = KEYS[4]}
for at = 4, #ARGV, 7 do
  local op, q, token, payload, score, to, name = unpack(ARGV, at, at + 6)
  local list, inflight, raw, free = KEYS[2 * q + 6], KEYS[2 * q + 7], nil, true
  if sets[op] then
    free = fits(sets[op], 'zset')
  elseif op == 'requeue' then
    free = fits(list, 'list') and fits(KEYS[1], 'set')
  elseif op == 'forward' then
    free = fits(KEYS[tonumber(to)], 'list') and fits(KEYS[1], 'set')
  elseif op == 'hold' then
    free = fits(KEYS[tonumber(to)], 'zset') and fits(KEYS[5], 'set')
  end
  local mine = -1
  if free and not fits(inflight, 'hash') then
    mine = 0
  elseif free then
    if op == 'requeue' then raw = call('HGET', inflight, token) end
    mine = call('HDEL', inflight, token)
  end
  if mine == 1 then
    if op == 'requeue' then
      call('SADD', KEYS[1], string.sub(list, ARGV[3] + 1))
      call('RPUSH', list, raw) -- the taking end
    elseif sets[op] then
      call('ZADD', sets[op], score, payload)
      buried = buried or op == 'dead'
    elseif op == 'forward' then
      call('SADD', KEYS[1], name)
      call('LPUSH', KEYS[tonumber(to)], payload) -- behind all others
    elseif op == 'hold' then
      call('SADD', KEYS[5], name)
      call('ZADD', KEYS[tonumber(to)], score, payload)
    end
  end
  result[#result + 1] = mine
  -- (effects)
end
if buried then
  call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[1])
  call('ZREMRANGEBYRANK', KEYS[4], 0, -ARGV[2])
end
return result
