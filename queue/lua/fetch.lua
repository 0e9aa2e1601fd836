#!lua flags=allow-oom
-- Acknowledge finished jobs, put landed jobs back into their queues, then move up to `want`
-- waiting jobs in flight.
-- KEYS   1 kyu:leases, 2 paused, 3 dead, 4 queues, then per queue its list and its in-flight
--        hash, then the landing lists to empty
-- ARGV   1 identity, 2 want, 3 length of a list key's prefix, 4 bytes that a payload may
--        have, 5 score for the dead set, 6 bytes that all payloads together may have, 7 number
--        of queues, 8 for each landing list a byte, the index of its queue, 9 jobs to pop
--        at first, then `want` tokens, then per queue the number of finished tokens and the tokens,
--        then either nothing (strict: queues in the order of KEYS)
--        or one string per draw, its bytes the order of queues in that draw
-- Result {acknowledged, 1, buried, more, key, refused, paused, queue index, {raw, ...}, ...}, the
--        payloads in the order of the tokens. buried jobs were larger than the limit and were
--        moved to the dead set (see shown); more is 1 if jobs were left because they exceed the
--        bytes; key is '' or a key of a wrong type, refused the indexes of the queues that it
--        blocks, a byte each, and paused those of the paused queues that were passed over;
--        {acknowledged, 0, 0, 0, '', '', ''} if the lease is lost: nothing is taken or moved
-- Atomic so that a job is always in the list or in flight, and so that no job is taken from a
-- queue while one before it holds a job. A landed job is not delivered: it goes back to the
-- taking end of its queue before jobs are taken. A script is not rolled back, so it undoes a
-- step itself when the next one fails because of a wrong type.
-- Tokens come as text because Lua's numbers are slow to write.
local call, try, want, limit = redis.call, redis.pcall, tonumber(ARGV[2]), tonumber(ARGV[4])
local KEYS, ARGV = KEYS, ARGV -- locals are faster than globals
local queues, adopt = tonumber(ARGV[7]), ARGV[8]
local acked, at = 0, 10 + want
for q = 1, queues do
  local n = tonumber(ARGV[at])
  if n > 0 then
    local gone = try('HDEL', KEYS[2 * q + 4], unpack(ARGV, at + 1, at + n))
    if type(gone) == 'number' then acked = acked + gone end
  end
  at = at + n + 1
end
local lease = call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) < 0 then return {acked, 0, 0, 0, '', '', ''} end

local out, token, room, shut, empty = {acked, 1, 0, 0, '', '', ''}, 10, tonumber(ARGV[6]), {}, {}
for i = 1, #adopt do
  local q = string.byte(adopt, i)
  local landing, list = KEYS[4 + 2 * queues + i], KEYS[2 * q + 3]
  local raw = try('LMOVE', landing, list, 'LEFT', 'RIGHT')
  if type(raw) == 'table' then out[5], out[6] = list, out[6] .. string.char(q) end
  if type(raw) == 'string' then try('SADD', KEYS[4], string.sub(list, ARGV[3] + 1)) end
  while type(raw) == 'string' do raw = try('LMOVE', landing, list, 'LEFT', 'RIGHT') end
end
if want == 0 then return out end

local paused = try('SMEMBERS', KEYS[2])
for _, name in ipairs(paused.err and {} or paused) do shut[name] = true end

-- putback returns jobs[from], ... to the taking end of a list, in their order.
local function putback(list, jobs, from)
  for i = #jobs, from, -1 do call('RPUSH', list, jobs[i]) end
end

-- refuse records a key of a wrong type, and takes no more of its queue in this call.
local function refuse(key, q)
  out[5], out[6], empty[q] = key, out[6] .. string.char(q), true
end

-- shown returns the form in which bytes go to the dead set: a list, a text or a number would
-- break the Dead page of Ruby (ForDeadSet in queue/envelope). A null is never as large.
local function shown(job)
  if string.find(job, '^%s*[%["%d%-]') then return 'not a job: ' .. job end
  return job
end

-- keep moves popped jobs in flight and returns them, without those that are too large or do not
-- fit into the bytes that are left.
local function keep(q, jobs)
  local list, fields, used, fit, first = KEYS[2 * q + 3], {}, 0, jobs, token
  for i = 1, #jobs do
    local job = jobs[i]
    if #job <= limit and (#job <= room or token == 10) then
      room = room - #job
      fields[used + 1], fields[used + 2] = ARGV[token], job
      token, used = token + 1, used + 2
      if fit ~= jobs then fit[#fit + 1] = job end
    else
      if fit == jobs then fit = {unpack(jobs, 1, i - 1)} end
      out[4] = 1
      if #job <= limit then -- it fits into the next call
        putback(list, jobs, i)
        room = -1
        break
      elseif type(try('ZADD', KEYS[3], ARGV[5], shown(job))) == 'number' then
        out[3] = out[3] + 1
      else -- the key of the dead set has a wrong type: the job goes behind the others
        call('LPUSH', list, job)
        refuse(KEYS[3], q)
      end
    end
  end
  if used > 0 and type(try('HSET', KEYS[2 * q + 4], unpack(fields, 1, used))) ~= 'number' then
    putback(list, fit, 1)
    token = first
    refuse(KEYS[2 * q + 4], q)
    return {}
  end
  return fit
end

-- take moves up to n jobs of a queue in flight. It pops a few at first, then as many as fit
-- judging by their size, because a job that does not fit is copied for nothing.
local function take(q, n)
  local list = KEYS[2 * q + 3]
  if n < 1 or room < 0 or empty[q] then return 0 end
  if shut[string.sub(list, ARGV[3] + 1)] then
    out[7] = out[7] .. string.char(q)
    return 0
  end
  local batch, before, asked = nil, room, math.min(n, tonumber(ARGV[9]))
  repeat
    local jobs = try('RPOP', list, asked)
    if not jobs then
      empty[q] = true
    elseif jobs.err then
      refuse(list, q)
    else
      local fit = keep(q, jobs)
      if not batch then
        batch = fit
      else
        for i = 1, #fit do batch[#batch + 1] = fit[i] end
      end
      if #jobs < asked then empty[q] = true end
      local each = math.max(1, (before - room) / math.max(#batch, 1))
      asked = math.min(n - #batch, math.max(1, math.floor(room / each)))
    end
  until empty[q] or room < 0 or asked <= 0
  if not batch or #batch == 0 then return 0 end
  out[#out + 1], out[#out + 2] = q - 1, batch
  return #batch
end

if at > #ARGV then
  for q = 1, queues do want = want - take(q, want) end
end
local left = queues -- number of queues that are not known to be empty
for draw = at, #ARGV do
  if left <= 0 or room < 0 then break end
  for _, q in ipairs({string.byte(ARGV[draw], 1, -1)}) do
    if not empty[q] then
      if take(q, 1) == 1 then break end
      empty[q], left = true, left - 1
    end
  end
end
return out
