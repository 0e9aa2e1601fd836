#!lua flags=allow-oom
-- Put the jobs of an operation on a queue back: those that stay to their queue, before the older
-- jobs that were not looked at, and those that were chosen to the queue that they go to.
-- KEYS   1 the operation's hash, 2 the queue's list, 3 queues, 4 the list of sifted jobs, 5 the
--        list of staged jobs, 6 the list that staged jobs go to, 7 kyu:sifts
-- ARGV   1 name of the queue, 2 name of the queue that staged jobs go to, 3 id of the operation,
--        4 its token, or '' if it may be put back once its time has ended, 5 jobs to move at most
-- Result jobs that are still to be put back; -1 if they stay because a key has a wrong type; an
--        error that begins with OPERATION if the operation is another caller's. If its time has
--        ended, its caller cannot go on: its state is interrupted
-- Atomic so that each job is in one list. Any process may repeat it at any time.
local call, list, sifted, staged = redis.call, KEYS[2], KEYS[4], KEYS[5]
local function fits(key, kind)
  local holds = call('TYPE', key).ok
  return holds == kind or holds == 'none'
end
if call('HGET', KEYS[7], ARGV[1]) ~= ARGV[3] then return 0 end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = fits(KEYS[1], 'hash')
local token = known and call('HGET', KEYS[1], 'token') or ''
local over = not known or tonumber(call('HGET', KEYS[1], 'until') or 0) < now
if token ~= ARGV[4] and not (ARGV[4] == '' and over) then
  return redis.error_reply('OPERATION taken')
end
if known and token ~= ARGV[4] and call('HGET', KEYS[1], 'state') == 'running' then
  call('HSET', KEYS[1], 'state', 'interrupted')
end
-- can reports whether jobs can go from one list to another. A key that nothing goes to may have any
-- type: it holds nobody up.
local function can(from, to)
  return fits(from, 'list') and fits(to, 'list') and fits(KEYS[3], 'set')
end
local left = tonumber(ARGV[5])

-- Jobs that were pushed since then are newer than all that were sifted. They are before the edge,
-- or all that there are. If there are too many, the sifted jobs go before them: they wait longer.
local edge, arrived = known and call('HGET', KEYS[1], 'edge'), nil
if call('EXISTS', sifted) == 1 then
  if not can(sifted, list) then return -1 end
  arrived = edge and call('LPOS', list, edge, 'MAXLEN', 5000)
  if not arrived and call('LLEN', list) <= 5000 then arrived = call('LLEN', list) end
  if arrived and arrived > 0 then
    local new = call('LPOP', list, arrived)
    for i = #new, 1, -1 do call('LPUSH', sifted, new[i]) end
  end
  if call('EXISTS', list) == 0 then
    call('RENAME', sifted, list)
  else
    while left > 0 and call('LMOVE', sifted, list, 'RIGHT', 'LEFT') do left = left - 1 end
    if known then call('HSET', KEYS[1], 'edge', call('LINDEX', list, 0)) end
  end
  call('SADD', KEYS[3], ARGV[1])
end
local rest = call('LLEN', sifted)
if rest == 0 and call('EXISTS', staged) == 1 then
  if not can(staged, KEYS[6]) then return -1 end
  call('SADD', KEYS[3], ARGV[2])
  while left > 0 and call('LMOVE', staged, KEYS[6], 'RIGHT', 'LEFT') do left = left - 1 end
end
if fits(staged, 'list') then rest = rest + call('LLEN', staged) end
if rest == 0 then
  call('HDEL', KEYS[7], ARGV[1])
  if known then call('HDEL', KEYS[1], 'edge') end
end
return rest
