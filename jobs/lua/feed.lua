-- Put a status into a feed, in Mastodon's layout.
-- KEYS   1 the feed, a zset: status id, scored by itself; 2 FEED:reblogs, a zset:
--        boosted status, scored by the boost that stands for it in the feed;
--        3 FEED:reblogs:ID, a set: further boosts of the boosted status
-- ARGV   1 status id; 2 id of the status that it boosts, or ""; 3 the most entries of a
--        feed; 4 the number of newest entries among which a status is not boosted again
-- Result 1 if the status was added, 0 if it was there or must not be shown again
-- Atomic so that of two boosts of one status at once only one is added, and the feed
-- never grows beyond its limit.
local feed, boosts, further = KEYS[1], KEYS[2], KEYS[3]
local id, original, most, near = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if original == '' then
  -- A boost of the status came before it, and shows it already.
  if redis.call('ZSCORE', boosts, id) then return 0 end
else
  local rank = redis.call('ZREVRANK', feed, original)
  if rank and rank < near then return 0 end
  local shown = redis.call('ZSCORE', boosts, original)
  if shown then
    if redis.call('ZSCORE', feed, id) then return 0 end -- a second run of the same job
    -- Compared by score: ids are larger than the integers that a double holds exactly.
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
-- Boosts that are no longer in the feed are removed from FEED:reblogs.
local last = redis.call('ZRANGE', feed, 0, 0)
if last[1] then redis.call('ZREMRANGEBYSCORE', boosts, '-inf', '(' .. last[1]) end
return added
