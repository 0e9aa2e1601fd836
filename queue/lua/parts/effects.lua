-- Carry out the effects of what a script takes away: the release of a lock, of a place.
-- Spliced behind the #!lua line of a script that says where it takes (queue/effect.go).
-- KEYS   the script's own, then the keys of the effects, in order
-- ARGV   the script's own, then per effect: the number of the item that it belongs to, from
--        1; its kind; how many keys and arguments it has; the arguments. At the end, how
--        many of KEYS and of ARGV are the script's own
-- Result the script's own; but of an item with an effect that failed a text: its code, a
--        space, and of each such effect the kind and why it failed
-- Atomic so that an effect is carried out if and only if its item was taken away. It comes
-- when all of its item is written, and its error is caught: it cannot lose a job.
local effects = {}
-- (kinds)
local own_keys, own_args = tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
local due, taken = {}, 0
do
  local key, at = own_keys, own_args + 1
  while at < #ARGV - 1 do
    local item, keys, args = tonumber(ARGV[at]), {}, {}
    for i = 1, tonumber(ARGV[at + 2]) do keys[i] = KEYS[key + i] end
    for i = 1, tonumber(ARGV[at + 3]) do args[i] = ARGV[at + 3 + i] end
    due[item] = due[item] or {}
    table.insert(due[item], {kind = ARGV[at + 1], keys = keys, args = args})
    key, at = key + #keys, at + 4 + #args
  end
end

-- run_effects is called once per item, in order, with its code; above 0 it was taken.
local function run_effects(code)
  taken = taken + 1
  if code <= 0 then return code end
  local failed
  for _, effect in ipairs(due[taken] or {}) do
    local ok, why = pcall(effects[effect.kind], effect.keys, effect.args)
    if not ok then
      if type(why) == 'table' then why = why.err end
      failed = (failed and failed .. '; ' or code .. ' ') .. effect.kind .. ': ' .. tostring(why)
    end
  end
  return failed or code
end

local function first(list, n)
  local some = {}
  for i = 1, n do some[i] = list[i] end
  return some
end
local KEYS, ARGV = first(KEYS, own_keys), first(ARGV, own_args)
