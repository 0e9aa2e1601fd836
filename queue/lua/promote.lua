#!lua flags=allow-oom
-- Move members of a sorted set to their queues, or to the dead set.
-- KEYS   1 the sorted set, 2 queues, 3 dead, then the lists of queues
-- ARGV   1 score for the dead set, 2 scores up to this are too old for it, 3 its size
--        limit, 4 length of a list key's prefix, then per member: the member, its new
--        payload ('': the member as it is), the index of its list (-1: to the dead set)
-- Result {result per member, ..., keys of the wrong type, ...}: 1 if it was moved, 0 if it
--        was not there, -1 if it stays because a key to which it goes has the wrong type
-- Atomic so that a crash between removal and push loses nothing. ZREM decides: of several
-- pollers, Ruby's too, only the one that removed a member pushes it. A script is not rolled
-- back when a push fails, so types are checked before a member is removed.
local call, out, bad, fit, buried = redis.call, {}, {}, {}, false
local function takes(key, want)
  if fit[key] == nil then
    local has = call('TYPE', key)
    has = has.ok or has
    fit[key] = has == want or has == 'none'
    if not fit[key] then bad[#bad + 1] = key end
  end
  return fit[key]
end
local function goes(member, payload, list)
  local open
  if list then
    open = takes(list, 'list')
    open = takes(KEYS[2], 'set') and open
  else
    open = takes(KEYS[3], 'zset')
  end
  if not open then return call('ZSCORE', KEYS[1], member) and -1 or 0 end
  if call('ZREM', KEYS[1], member) == 0 then return 0 end
  if list then
    call('SADD', KEYS[2], string.sub(list, ARGV[4] + 1))
    call('LPUSH', list, payload)
  else
    call('ZADD', KEYS[3], ARGV[1], payload)
    buried = true
  end
  return 1
end
for at = 5, #ARGV, 3 do
  local member, payload, q = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  if payload == '' then payload = member end
  out[#out + 1] = goes(member, payload, q >= 0 and KEYS[q + 4])
end
if buried then
  call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[2])
  call('ZREMRANGEBYRANK', KEYS[3], 0, -ARGV[3])
end
for _, key in ipairs(bad) do out[#out + 1] = key end
return out
