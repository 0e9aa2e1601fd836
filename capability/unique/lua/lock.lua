-- The two steps of a lock. This text is the beginning of the bodies in effect.lua and claim.lua.
-- The keys and their contents are those of sidekiq-unique-jobs (docs/wire.md, Locks).
-- keys   1 the digest: the JID that took the lock last, 2 LOCKED: a hash of the JIDs that hold it,
--        3 QUEUED, 4 PRIMED: lists by which Ruby's clients wait, 5 INFO, 6 uniquejobs:digests,
--        7 uniquejobs:expiring_digests, 8 the payload of a scheduled holder that may be replaced,
--        9 schedule
-- args   1 the step, 2 the digest, 3 how many may hold the lock, 4 milliseconds that it lasts
--        (0: no limit), 5 '1' if it ends by time alone, 6 '1' if Ruby's processes may wait for it,
--        7 the JID
-- Atomic with the push or the settlement of the job that the lock is for.
local call = redis.call

-- take gives the lock to a job, or returns the JID of a job that holds it.
local function take(jid)
  if call('HEXISTS', keys[2], jid) == 1 then return nil end
  if call('HLEN', keys[2]) >= tonumber(args[3]) then
    local last = call('GET', keys[1])
    if last and call('HEXISTS', keys[2], last) == 1 then return last end
    return call('HKEYS', keys[2])[1]
  end
  local time, ttl = call('TIME'), tonumber(args[4])
  local now = string.format('%d.%06d', time[1], time[2])
  if args[5] == '1' then -- first, because only this can fail: nothing is undone after an error
    call('ZADD', keys[7], now + ttl / 1000, args[2])
    -- Nobody releases a lock that ends by time, so a later one removes what is left of a few.
    for _, over in ipairs(call('ZRANGEBYSCORE', keys[7], '-inf', now, 'LIMIT', 0, 10)) do
      call('ZREM', keys[7], over)
    end
  else
    call('ZADD', keys[6], now, args[2])
  end
  call('HSET', keys[2], jid, now)
  call('SET', keys[1], jid)
  if ttl > 0 then
    call('PEXPIRE', keys[1], ttl)
    call('PEXPIRE', keys[2], ttl)
  end
end

-- release takes the lock from a job. It does nothing if the job does not hold it.
local function release(jid)
  if call('HDEL', keys[2], jid) == 0 then
    if call('EXISTS', keys[2]) == 1 then return end
    call('ZREM', keys[6], args[2]) -- the time of the lock may have ended before its job
    -- A digest of this job without a holder makes Ruby's client drop the job's next push.
    if call('GET', keys[1]) == jid then call('UNLINK', keys[1], keys[5]) end
    return
  end
  if call('EXISTS', keys[2]) == 1 then
    if call('GET', keys[1]) == jid then call('UNLINK', keys[1], keys[5]) end
    return
  end
  call('UNLINK', keys[1], keys[4], keys[5], keys[8])
  call('ZREM', keys[6], args[2])
  call('ZREM', keys[7], args[2])
  if args[6] == '1' then
    call('LPUSH', keys[3], '1')
    call('PEXPIRE', keys[3], 5000)
  else
    call('UNLINK', keys[3])
  end
end
