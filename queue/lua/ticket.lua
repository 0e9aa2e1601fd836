#!lua flags=allow-oom
-- Take, end or cancel a bulk operation.
-- KEYS   1 the operation's hash
-- ARGV   1 take | end | cancel, 2 the caller's token, 3 milliseconds that it is the caller's from
--        now on, 4 the state at the end: done | failed | interrupted, 5 the error, or '',
--        6 seconds that the record of an operation that is over is kept, 7 jobs that it has looked
--        at, 8 jobs that it has chosen
-- Result its state before; "taken" if another caller has it, "gone" if there is none
-- Atomic so that an operation has one caller at a time.
local call, op = redis.call, KEYS[1]
local state = call('HGET', op, 'state')
if not state then return 'gone' end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = call('HGET', op, 'token') == ARGV[2]
if ARGV[1] == 'cancel' then
  if state == 'running' or state == 'interrupted' then
    call('HSET', op, 'state', 'cancelled', 'ended', now)
    call('EXPIRE', op, ARGV[6])
  end
  return state
end
if ARGV[1] == 'end' then
  if not mine then return 'taken' end
  if state == 'running' then call('HSET', op, 'state', ARGV[4], 'error', ARGV[5], 'ended', now) end
  call('HSET', op, 'seen', ARGV[7], 'matched', ARGV[8])
  call('EXPIRE', op, ARGV[6])
  return state
end
if not mine and state == 'running' and tonumber(call('HGET', op, 'until') or 0) >= now then
  return 'taken'
end
if state ~= 'done' then
  call('HSET', op, 'state', 'running', 'token', ARGV[2], 'until', now + ARGV[3], 'error', '')
  call('HDEL', op, 'ended')
  call('PERSIST', op)
end
return state
