-- Claim a slot of an entry for the job that is pushed in the same call, or say why not. This is the
-- body of function(keys, args, jid, payload) in the push script.
-- keys   1 kyu:cron:NAME, 2 its list of runs, 3 its lock, 4 the owner of its schedule; then one
--        queue per condition; then the keys of the Ruby gem beside it: sidekiq-scheduler's states,
--        pushed:NAME, last_times and next_times; or sidekiq-cron's job, enqueued and jid_history
-- args   1 slot in milliseconds, or 0: now, because a person asks; 2 rev of the entry; 3 digest of
--        the schedule; 4 milliseconds that the lock lasts, or 0: no lock; 5 a reason to skip the
--        slot, or ''; 6 number of conditions, then the size below which each is true; then the gem
--        or '', and its words: sidekiq-scheduler: name, slot in seconds, time, next time or '';
--        sidekiq-cron: score, member, time, line of its history
-- Result nil: granted. 'owner', 'rev': another schedule or version of the entry counts. 'early MS':
--        the slot is MS milliseconds away by Redis's clock. 'past': the slot was claimed before.
--        These four have written nothing. 'skipped WHY': the slot is over, and nobody pushes it.
-- Atomic so that a slot is claimed if and only if its job is pushed, and once, whatever the clocks
-- of the processes say. All keys whose type matters are read before anything is written.
local entry, runs, lock, owner = keys[1], keys[2], keys[3], keys[4]
local slot, life, conditions = tonumber(args[1]), tonumber(args[4]), tonumber(args[6])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local state = redis.call('HMGET', entry, 'rev', 'last', 'paused')
local why = args[5] ~= '' and args[5]

if slot > 0 then
  if redis.call('HGET', owner, 'digest') ~= args[3] then return 'owner' end
  if state[1] ~= args[2] then return 'rev' end
  if now < slot then return string.format('early %d', slot - now) end
  if slot <= tonumber(state[2] or 0) then return 'past' end
  if state[3] then why = 'paused' end
end
for i = 1, conditions do
  if not why and redis.call('LLEN', keys[4 + i]) >= tonumber(args[6 + i]) then
    why = 'queue'
  end
end

-- Whoever adds the slot to the set of the gem fires it: Ruby does the same.
local key, arg = 4 + conditions, 7 + conditions
local gem, word = args[arg], function(i) return args[arg + i] end
local function add(set, score, member)
  if redis.call('ZADD', set, 'NX', score, member) == 0 then why = 'ruby' end
  redis.call('ZREMRANGEBYSCORE', set, '-inf', '(' .. (score - 86400))
end
if gem == 'sidekiq-scheduler' then
  local off = redis.call('HGET', keys[key + 1], word(1))
  if off and string.find(off, '"enabled":%s*false') then why = why or 'disabled' end
  add(keys[key + 2], word(2), word(2))
  redis.call('EXPIRE', keys[key + 2], 86400)
elseif gem == 'sidekiq-cron' then
  if redis.call('HGET', keys[key + 1], 'status') == 'disabled' then why = why or 'disabled' end
  add(keys[key + 2], word(1), word(2))
end

if not why and life > 0 and not redis.call('SET', lock, jid, 'NX', 'PX', args[4]) then
  why = 'overlap'
end
if slot > 0 then redis.call('HSET', entry, 'last', args[1]) end
if why ~= 'paused' and why ~= 'disabled' then
  local line = string.format('%.0f %.0f ', slot, now) .. (why and '- ' .. why or jid)
  if type(redis.pcall('LPUSH', runs, line)) == 'number' then redis.call('LTRIM', runs, 0, 99) end
end
if why then return 'skipped ' .. why end

redis.call('HSET', entry, 'jid', jid)
if gem == 'sidekiq-scheduler' then
  redis.pcall('HSET', keys[key + 3], word(1), word(3))
  if word(4) ~= '' then redis.pcall('HSET', keys[key + 4], word(1), word(4)) end
elseif gem == 'sidekiq-cron' and redis.call('EXISTS', keys[key + 1]) == 1 then
  redis.call('HSET', keys[key + 1], 'last_enqueue_time', word(3))
  if type(redis.pcall('LPUSH', keys[key + 3], word(4))) == 'number' then
    redis.call('LTRIM', keys[key + 3], 0, 9)
  end
end
