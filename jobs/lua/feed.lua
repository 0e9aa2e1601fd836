-- Put a status into a feed, in Mastodon's layout.
-- KEYS   1 the feed, a zset of status ids scored by themselves; 2 FEED:reblogs, a
--        zset: boosted status -> the boost that stands for it in the feed;
--        3 FEED:reblogs:ID, a set of further boosts of the boosted status
-- ARGV   1 status id, 2 id of the status that it boosts or "", 3 the most entries,
--        4 within how many entries from the top a status is not boosted again
-- Result 1 if it was put in, 0 if it was there or is not to be seen again
-- Atomic so that two boosts of one status that come at once do not both get in, and
-- a feed is never longer than it may be.
local feed, boosts, further = KEYS[1], KEYS[2], KEYS[3]
local id, original, most, near = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if original == '' then
  -- It came later than a boost of it, which shows it already.
  if redis.call('ZSCORE', boosts, id) then return 0 end
else
  local rank = redis.call('ZREVRANK', feed, original)
  if rank and rank < near then return 0 end
  local shown = redis.call('ZSCORE', boosts, original)
  if shown then
    if redis.call('ZSCORE', feed, id) then return 0 end -- it is this one: a second run
    -- By score, for ids are larger than what a double holds exactly.
    if redis.call('ZCOUNT', feed, '(' .. shown, '+inf') < near then
      redis.call('SADD', further, id)
      redis.call('EXPIRE', further, 2592000)
      return 0
    end
  end
  redis.call('ZADD', boosts, id, original)
end
local added = redis.call('ZADD', feed, id, id)
redis.call('ZREMRANGEBYRANK', feed, 0, -most - 1)
-- Boosts that have left the feed stand for nothing any more.
local last = redis.call('ZRANGE', feed, 0, 0)
if last[1] then redis.call('ZREMRANGEBYSCORE', boosts, '-inf', '(' .. last[1]) end
return added
