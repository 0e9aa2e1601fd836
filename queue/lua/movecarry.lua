#!lua flags=allow-oom
-- Carry out an effect of a capability that belongs to no job.
-- KEYS   1 kyu:moving: it only names the slot of the shard
-- ARGV   those of the effect, at (effects)
-- Result {1}
-- Atomic as the effect is. A copy of this script carries it out at (effects).
local result = {1}
-- (effects)
return result
