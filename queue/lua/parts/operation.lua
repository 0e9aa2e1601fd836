-- Check that a bulk operation may go on, and note how far it is.
-- KEYS   1 the operation's hash
-- ARGV   1 the caller's token, 2 milliseconds that the operation is the caller's from now on,
--        3 jobs that it has looked at, 4 jobs that it has chosen
-- Result an error that begins with OPERATION, then its state, or "taken" if it is another caller's
-- Atomic with the changes of the page that follows: an operation that was cancelled or taken over
-- changes nothing more, and its count of changed jobs is exact whenever its caller is killed.
local call = redis.call
local state = call('HGET', KEYS[1], 'state')
if state ~= 'running' then return redis.error_reply('OPERATION ' .. (state or 'gone')) end
if call('HGET', KEYS[1], 'token') ~= ARGV[1] then return redis.error_reply('OPERATION taken') end

local function note(changed)
  local time = call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  call('HSET', KEYS[1], 'until', now + ARGV[2], 'seen', ARGV[3], 'matched', ARGV[4])
  if changed > 0 then call('HINCRBY', KEYS[1], 'changed', changed) end
end

-- fits reports whether a key has the given type or does not exist.
local function fits(key, kind)
  local holds = call('TYPE', key).ok
  return holds == kind or holds == 'none'
end
