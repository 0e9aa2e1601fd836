#!lua flags=allow-oom
-- Put jobs that were taken out of a draining shard into their places in this one, each once.
-- KEYS   1 queues, 2 kyu:held, then the markers, the places and the positions of iterable jobs
--        that the jobs name
-- ARGV   1 seconds that a marker lives, then per job: the index of its marker and the number of its
--        bit there, the index of its place, zset or list, the name of its queue or the class of
--        held jobs or '', its score, its bytes, the index of its position or 0, when the position
--        expires in milliseconds (0: never), the number of words of the position, and these words
-- Result per job 1 if it is in its place, 0 if it had come before, -1 if it is not, because a key
--        has a wrong type. A copy of this script carries out effects at (effects): the job's locks
-- Atomic so that a marker exists exactly if its job was put here: a call that is repeated puts it
-- here no second time, whatever has become of the job since. A job's position and its locks are
-- here in the same moment, so no run sees the job without them.
local call, result = redis.call, {}
local function fits(key, kind)
  local holds = call('TYPE', key).ok
  return holds == kind or holds == 'none'
end
-- can reports whether all that a job needs can be written.
local function can(marker, place, kind, name, position)
  return fits(marker, 'string') and fits(place, kind) and (kind == 'zset' or fits(KEYS[1], 'set'))
    and (kind == 'list' or name == '' or fits(KEYS[2], 'set'))
    and (not position or fits(position, 'hash'))
end
local at = 2
while at <= #ARGV do
  local marker, bit = KEYS[tonumber(ARGV[at])], ARGV[at + 1]
  local place, kind, name = KEYS[tonumber(ARGV[at + 2])], ARGV[at + 3], ARGV[at + 4]
  local score, raw = ARGV[at + 5], ARGV[at + 6]
  local position, words = KEYS[tonumber(ARGV[at + 7])], tonumber(ARGV[at + 9])
  local code = -1
  if can(marker, place, kind, name, position) then
    code = call('GETBIT', marker, bit) == 0 and 1 or 0
    if code == 1 then
      if position then
        call('HSET', position, unpack(ARGV, at + 10, at + 9 + words))
        if ARGV[at + 8] ~= '0' then call('PEXPIREAT', position, ARGV[at + 8]) end
      end
      if kind == 'list' then
        call('SADD', KEYS[1], name)
        call('LPUSH', place, raw)
      else
        if name ~= '' then call('SADD', KEYS[2], name) end
        call('ZADD', place, 'NX', score, raw) -- the same bytes are the same job
      end
      call('SETBIT', marker, bit, 1) -- last: an error above leaves no marker without its job
    end
    call('EXPIRE', marker, ARGV[1])
  end
  at = at + 10 + words
  result[#result + 1] = code
  -- (effects)
end
return result
