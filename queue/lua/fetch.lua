#!lua flags=allow-oom
-- Acknowledge finished jobs, then move up to `want` waiting jobs in flight.
-- KEYS   1 kyu:leases, 2 paused, 3 dead, then per queue its list and its in-flight hash
-- ARGV   1 identity, 2 want, 3 length of a list key's prefix, 4 bytes that a payload may
--        have, 5 score for the dead set, then `want` tokens,
--        then per queue the number of finished tokens and the tokens,
--        then either nothing (strict: queues in the order of KEYS)
--        or one string per draw, its bytes the order of queues in that draw
-- Result {acknowledged, 1, buried, queue index, {raw, ...}, ...}, in the order of the
--        tokens; buried jobs are too large to be read and are in the dead set as they are;
--        {acknowledged, 0, 0} if the lease is lost
-- Atomic so that a job is always in the list or in flight, and so that nothing
-- is taken from a queue while one before it holds a job.
-- Tokens come as text because Lua's numbers are slow to write.
local call, want, limit = redis.call, tonumber(ARGV[2]), tonumber(ARGV[4])
local KEYS, ARGV = KEYS, ARGV -- globals are slow
local acked, at = 0, 6 + want
for key = 5, #KEYS, 2 do
  local n = tonumber(ARGV[at])
  if n > 0 then acked = acked + call('HDEL', KEYS[key], unpack(ARGV, at + 1, at + n)) end
  at = at + n + 1
end
local lease = call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) < 0 then return {acked, 0, 0} end

local out, token, shut = {acked, 1, 0}, 6, {}
for _, name in ipairs(call('SMEMBERS', KEYS[2])) do shut[name] = true end
local function take(q, n)
  local list = KEYS[2 * q + 2]
  if n < 1 or shut[string.sub(list, ARGV[3] + 1)] then return 0 end
  local jobs = call('RPOP', list, n)
  if not jobs then return 0 end
  local fields, used, fit = {}, 0, jobs
  for i = 1, #jobs do
    local job = jobs[i]
    if #job > limit then
      if fit == jobs then fit = {unpack(jobs, 1, i - 1)} end
      call('ZADD', KEYS[3], ARGV[5], job)
      out[3] = out[3] + 1
    else
      fields[used + 1], fields[used + 2] = ARGV[token], job
      token, used = token + 1, used + 2
      if fit ~= jobs then fit[#fit + 1] = job end
    end
  end
  if used > 0 then
    call('HSET', KEYS[2 * q + 3], unpack(fields, 1, used))
    out[#out + 1], out[#out + 2] = q - 1, fit
  end
  return #jobs
end

if at > #ARGV then
  for q = 1, (#KEYS - 3) / 2 do want = want - take(q, want) end
end
for draw = at, #ARGV do
  for _, q in ipairs({string.byte(ARGV[draw], 1, -1)}) do
    if take(q, 1) == 1 then break end
  end
end
return out
