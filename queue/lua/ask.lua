#!lua
-- Ask a worker to publish its last runs, unless it has been asked and has not told yet that it was.
-- KEYS   1 kyu:owner:IDENTITY, 2 the process's signals
-- ARGV   1 the signal, 2 how many seconds it is kept
-- Result 1 if it is asked, now or before; 0 if it is no worker of Kyu
-- Atomic so that many who ask at once send one signal. Ruby would fail at a signal that it does not
-- know, so only owners are asked.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if not redis.call('LPOS', KEYS[2], ARGV[1]) then
  redis.call('LPUSH', KEYS[2], ARGV[1])
  redis.call('EXPIRE', KEYS[2], ARGV[2])
end
return 1
