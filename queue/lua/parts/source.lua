-- Take jobs of some queues from where a capability keeps them besides the queues' lists, such as in
-- lanes. A copy of fetch.lua has the two pieces of this part, each at its place (queue/source.go).
-- KEYS   behind those of fetch.lua, the keys of each source
-- ARGV   behind the finished tokens: 'turns' if turns follow, else ''; the number of sources; per
--        source the index of its queue, from 1, its kind, its numbers of keys and arguments, and
--        the arguments
-- Result {that of fetch.lua, the indexes, a byte each, of queues whose lists hold jobs that the
--        source has not seen, milliseconds until a source may have a job that it has not now, or
--        -1, the indexes of queues whose sources are on}; that of fetch.lua alone if no jobs are
--        asked for, or if the lease is lost
-- Atomic with the rest of the script: a job that a source gives is in flight in the same moment,
-- and what a finished job held of the source is free before jobs are taken. In strict order no job
-- is taken from a queue behind one with jobs that its source has not seen: one of these may be
-- taken before it. A source is a table of functions: done(tokens) frees what finished jobs held;
-- next() takes a job out, and returns nil if none may run; then took(token) says that it is in
-- flight, gone() that it is not kept, or back() puts it where next found it; more() reports whether
-- the list holds jobs; rest(leaves) ends the call, and returns the milliseconds of the result;
-- leaves says that it takes no jobs. on is false while the queue's jobs are in its list alone.
local kinds = {}
-- (kinds)
local sources, broken, turned = {}, {}, ARGV[at] == 'turns'
do
  local key, from, finished = 4 + 2 * queues + #adopt, 10 + want, {}
  for q = 1, queues do
    local n = tonumber(ARGV[from])
    finished[q] = {unpack(ARGV, from + 1, from + n)}
    from = from + n + 1
  end
  local left = tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, left do
    local q, keys, args = tonumber(ARGV[at]), {}, {}
    for i = 1, tonumber(ARGV[at + 2]) do keys[i] = KEYS[key + i] end
    for i = 1, tonumber(ARGV[at + 3]) do args[i] = ARGV[at + 3 + i] end
    local ok, source = pcall(kinds[ARGV[at + 1]], keys, args)
    if ok and #finished[q] > 0 then ok = pcall(source.done, finished[q]) end
    if ok and (not source.on or want == 0 or not lease or tonumber(lease) < 0) then
      ok = pcall(source.rest, true) -- the jobs are left to other processes, or in the list
    end
    if ok then sources[q] = source else broken[q] = keys[1] end
    key, at = key + #keys, at + 4 + #args
  end
end
-- (next piece)
local plain, barrier = take, nil
local strict = turned or at > #ARGV

-- give returns the next job of a source that goes in flight, or nil. n jobs are wanted.
local function give(q, source, n)
  local ok, job = pcall(source.next, n)
  if not ok then
    refuse(KEYS[2 * q + 3], q)
  elseif not job then
    empty[q] = true
  elseif #job > limit then
    if type(try('ZADD', KEYS[3], ARGV[5], shown(job))) == 'number' then
      out[3] = out[3] + 1
      source.gone()
      return give(q, source, n)
    end
    source.back()
    refuse(KEYS[3], q)
  elseif #job > room and token ~= 10 then
    source.back()
    out[4], room = 1, -1
  else
    source.took(ARGV[token])
    token, room = token + 1, room - #job
    return job
  end
end

take = function(q, n)
  local source = sources[q]
  if barrier and q > barrier or empty[q] then return 0 end
  if broken[q] then
    refuse(broken[q], q)
    return 0
  end
  if not source or not source.on or shut[string.sub(KEYS[2 * q + 3], ARGV[3] + 1)] then
    return plain(q, n)
  end
  local flight, batch, fields = KEYS[2 * q + 4], {}, {}
  if type(try('HLEN', flight)) ~= 'number' then
    refuse(flight, q)
    return 0
  end
  while #batch < n and room >= 0 do
    local job = give(q, source, n - #batch)
    if not job then break end
    batch[#batch + 1] = job
    fields[#fields + 1], fields[#fields + 2] = ARGV[token - 1], job
  end
  if #batch > 0 then call('HSET', flight, unpack(fields)) end
  if strict and #batch < n and source.more() then barrier = q end
  if #batch > 0 then out[#out + 1], out[#out + 2] = q - 1, batch end
  return #batch
end

local function finish()
  local unseen, opens, on = '', -1, ''
  for q, source in pairs(sources) do
    if source.on then
      on = on .. string.char(q)
      if source.more() then unseen = unseen .. string.char(q) end
      local ok, ms = pcall(source.rest)
      if not ok then
        refuse(KEYS[2 * q + 3], q)
      elseif ms >= 0 and (opens < 0 or ms < opens) then opens = ms end
    end
  end
  return {out, unseen, opens, on}
end
if turned then
  for i = at, #ARGV, 2 do
    local most = math.min(want, tonumber(ARGV[i + 1]))
    want = want - take(tonumber(ARGV[i]), most)
  end
  return finish()
end
