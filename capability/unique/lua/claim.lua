
-- Take or release a lock when its job is pushed or starts.
-- args   1 'take', 'release', or 'replace': take, in the place of a job that is only scheduled
-- Result nil, or the JID of the job that holds the lock
if args[1] == 'release' then
  release(jid)
  return
end
local holder = take(jid)
if args[1] ~= 'replace' then return holder end
if holder then
  local member = call('GET', keys[8])
  if not member or call('ZREM', keys[9], member) == 0 then return holder end
  release(holder)
  holder = take(jid)
end
if not holder then
  -- The bytes by which the schedule set has the job, if this push schedules it. If it does not, or
  -- when the job becomes due, they are in no set, and the job is not replaced.
  call('SET', keys[8], payload)
  if tonumber(args[4]) > 0 then call('PEXPIRE', keys[8], args[4]) end
end
return holder
