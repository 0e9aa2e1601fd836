-- Read what a script does for its items besides its own work: the effects of jobs that it removes,
-- or the claims of jobs that it pushes. This part and effects.lua or claims.lua are spliced in
-- behind the #!lua line of the script (queue/effect.go).
-- KEYS   the script's own, then the keys of the effects, in order
-- ARGV   the script's own, then per effect: the number of the item that it belongs to, from
--        1; its kind; its numbers of keys and arguments; the arguments. The last two are the
--        numbers of KEYS and of ARGV that are the script's own
local kinds = {}
-- (kinds)
local due = {} -- by item: its effects, in order
local own_keys, own_args = tonumber(ARGV[#ARGV - 1]), tonumber(ARGV[#ARGV])
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
local function first(list, n)
  local some = {}
  for i = 1, n do some[i] = list[i] end
  return some
end
local KEYS, ARGV = first(KEYS, own_keys), first(ARGV, own_args)
