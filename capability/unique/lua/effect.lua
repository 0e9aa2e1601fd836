
-- Change a lock when its job leaves the place where it was.
-- args   1 'release', or 'take' for a job that waits again and had released its lock at its start
if args[1] == 'take' then
  take(args[7])
else
  release(args[7])
end
