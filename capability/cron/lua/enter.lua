#!lua flags=allow-oom
-- Write the entries of a schedule, as far as they have changed, and read where each stands.
-- KEYS   1 the owner of the schedule; 2 kyu:cron, the set of names; then kyu:cron:NAME per entry
-- ARGV   1 digest of the schedule; 2 its name; then per entry: its name, its rev, the rev of its
--        timing, its spec
-- Result nothing if the schedule does not own its name; else milliseconds by Redis's clock, then
--        per entry the milliseconds of its last slot
-- Atomic so that only the owner writes entries. An entry that is new, or whose timing has changed,
-- begins now: slots before that are not made up for.
if redis.call('HGET', KEYS[1], 'digest') ~= ARGV[1] then return {} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local result, text = {now}, string.format('%.0f', now)
for i = 3, #KEYS do
  local at = 3 + (i - 3) * 4
  local name, rev, timing, spec = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local state = redis.call('HMGET', KEYS[i], 'rev', 'timing', 'last')
  local last = tonumber(state[3] or 0)
  if state[1] ~= rev then
    redis.call('HSET', KEYS[i], 'spec', spec, 'rev', rev, 'timing', timing, 'by', ARGV[2])
    redis.call('SADD', KEYS[2], name)
  end
  if not state[3] or state[2] ~= timing and last < now then
    redis.call('HSET', KEYS[i], 'last', text)
    last = now
  end
  result[#result + 1] = last
end
return result
