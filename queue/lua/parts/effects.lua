-- Carry out the effects of the jobs that a script removes, such as the release of a lock. The
-- script marks with (effects) where a job has been removed.
-- Result the script's own; for an item with an effect that failed a text: its code, a space,
--        and of each such effect its kind and its error
-- Atomic so that an effect is carried out if and only if its item was removed. It runs after
-- all writes for its item, and its error is caught, so it cannot lose a job.
local taken = 0

-- run_effects is called once per item, in order, with its code, which is above 0 if the item
-- was removed.
local function run_effects(code)
  taken = taken + 1
  if code <= 0 then return code end
  local failed
  for _, effect in ipairs(due[taken] or {}) do
    local ok, why = pcall(kinds[effect.kind], effect.keys, effect.args)
    if not ok then
      if type(why) == 'table' then why = why.err end
      failed = (failed and failed .. '; ' or code .. ' ') .. effect.kind .. ': ' .. tostring(why)
    end
  end
  return failed or code
end
