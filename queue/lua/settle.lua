#!lua flags=allow-oom
-- Settle deliveries: take each out of its owner's hands and put it where it belongs.
-- KEYS   1 queues, 2 retry, 3 schedule, 4 dead, 5 kyu:held,
--        then per queue its list, its in-flight hash and its landing list,
--        then the lists and hold sets that jobs go to
-- ARGV   1 scores up to this are too old for the dead set, 2 its size limit, 3 length of
--        a list key's prefix, then per delivery: op, queue index, token, landed payload
--        (if it has no token), new payload, score, and where it goes: an index of KEYS
--        and the name of that queue or class
--        op: done | retry | schedule | dead | requeue | forward | hold
-- Result per delivery 1, or 0 if it was not in the owner's hands any more
-- Atomic so that a job is never in two places nor in none, and so that only the
-- owner settles: the removal decides, everything else follows from it.
local result, buried = {}, false
for at = 4, #ARGV, 8 do
  local op, q, token, landed, payload, score, to, name = unpack(ARGV, at, at + 7)
  local list, inflight, landing = KEYS[3 * q + 6], KEYS[3 * q + 7], KEYS[3 * q + 8]
  local raw, mine = landed, 0
  if token == '' then
    mine = redis.call('LREM', landing, 1, landed)
  else
    if op == 'requeue' then raw = redis.call('HGET', inflight, token) end
    mine = redis.call('HDEL', inflight, token)
  end
  if mine == 1 then
    if op == 'requeue' then
      redis.call('SADD', KEYS[1], string.sub(list, ARGV[3] + 1))
      redis.call('RPUSH', list, raw) -- the end that is taken next
    elseif op == 'retry' then
      redis.call('ZADD', KEYS[2], score, payload)
    elseif op == 'schedule' then
      redis.call('ZADD', KEYS[3], score, payload)
    elseif op == 'dead' then
      redis.call('ZADD', KEYS[4], score, payload)
      buried = true
    elseif op == 'forward' then
      redis.call('SADD', KEYS[1], name)
      redis.call('LPUSH', KEYS[tonumber(to)], payload) -- behind all others
    elseif op == 'hold' then
      redis.call('SADD', KEYS[5], name)
      redis.call('ZADD', KEYS[tonumber(to)], score, payload)
    end
  end
  result[#result + 1] = mine
end
if buried then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[1])
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -ARGV[2])
end
return result
