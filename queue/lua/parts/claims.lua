-- Make the claims of the jobs that a script pushes or starts, such as taking a lock. The script has
-- a local function refused, which is nil without this part, and marks with (claims) where the
-- function is set. The first argument of a claim is the JID of its job.
-- Result per refused job, in report: the number of the item, the number of its claim that was
--        refused, the reason, and '1' if the claim failed with that error
-- Atomic so that a job is pushed or starts if and only if its claims are granted. A job is refused
-- before anything is written for it, and an error of a claim is caught, so no other job is held up.
local refusals = {}

-- refused makes the claims of an item, in order, until one is refused, and reports whether one was.
refused = function(item, payload)
  for n, claim in ipairs(due[item] or {}) do
    local jid = table.remove(claim.args, 1)
    local ok, why = pcall(kinds[claim.kind], claim.keys, claim.args, jid, payload)
    if not ok and type(why) == 'table' then why = why.err end
    if why then
      for _, word in ipairs({item, n, tostring(why), ok and '' or '1'}) do
        refusals[#refusals + 1] = word
      end
      return true
    end
  end
  return false
end
report = function(result)
  return {result, unpack(refusals)}
end
