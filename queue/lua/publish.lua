#!lua flags=allow-oom
-- Publish a process for Sidekiq's API and web page, and add to the counters of jobs.
-- KEYS   1 processes, 2 IDENTITY, 3 IDENTITY:work, 4 IDENTITY:workers, 5 kyu:owner:IDENTITY,
--        6 stat:processed, 7 stat:failed, 8 kyu:stat:expired, 9 to 11 the same of the day
-- ARGV   1 identity, 2 number of this flush, 3 processed, 4 failed, 5 expired,
--        6 seconds that a day's counters live, 7 number of arguments of the record, the record,
--        then the work: field, JSON, ...
-- Result 1 if the process was published before, 0 if not, or if its record had expired
-- Atomic so that no reader sees a part of a process. A flush whose reply was lost is sent
-- again with the same number, and counts once.
-- A key of the wrong type loses only the data that would go into it.
local function does(...)
  local reply = redis.pcall(...)
  return not (type(reply) == 'table' and reply.err), reply
end
local function write(key, first, last)
  for at = first, last, 1000 do -- unpack gives a command at most about 8,000 values
    if not does('HSET', key, unpack(ARGV, at, math.min(at + 999, last))) then return end
  end
  redis.call('EXPIRE', key, 60)
end
local n = tonumber(ARGV[7])
local noted, flush = does('HGET', KEYS[5], 'flush')
if not noted or flush ~= ARGV[2] then
  does('HSET', KEYS[5], 'flush', ARGV[2])
  for i = 0, 2 do
    if ARGV[3 + i] ~= '0' then
      does('INCRBY', KEYS[6 + i], ARGV[3 + i])
      if does('INCRBY', KEYS[9 + i], ARGV[3 + i]) then
        redis.call('EXPIRE', KEYS[9 + i], ARGV[6])
      end
    end
  end
end
does('SADD', KEYS[1], ARGV[1])
local known = redis.call('EXISTS', KEYS[2])
write(KEYS[2], 8, 7 + n)
for key = 3, 4 do -- Sidekiq up to 6.4.1 reads :workers, later versions read :work
  redis.call('UNLINK', KEYS[key])
  if #ARGV > 7 + n then write(KEYS[key], 8 + n, #ARGV) end
end
return known
