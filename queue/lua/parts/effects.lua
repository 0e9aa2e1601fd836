-- Carry out the effects of the jobs that a script removes, such as the release of a lock.
-- This part is spliced in behind the #!lua line of a script that marks with (effects) where a
-- job has been removed (queue/effect.go).
-- KEYS   the script's own, then the keys of the effects, in order
-- ARGV   the script's own, then per effect: the number of the item that it belongs to, from
--        1; its kind; its numbers of keys and arguments; the arguments. The last two are the
--        numbers of KEYS and of ARGV that are the script's own
-- Result the script's own; for an item with an effect that failed a text: its code, a space,
--        and of each such effect its kind and its error
-- Atomic so that an effect is carried out if and only if its item was removed. It runs after
-- all writes for its item, and its error is caught, so it cannot lose a job.
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

-- run_effects is called once per item, in order, with its code, which is above 0 if the item
-- was removed.
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
