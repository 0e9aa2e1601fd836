-- Take jobs in turns: the part of fetch.lua in the place of its strict order and its draws.
-- ARGV   behind the finished tokens: per turn the index of a queue and the most jobs to take
-- Result as of fetch.lua; a queue with two turns has two lists
-- Atomic with the rest of the script: no job comes into a queue between two turns.
for i = at, #ARGV, 2 do
  local most = math.min(want, tonumber(ARGV[i + 1]))
  want = want - take(tonumber(ARGV[i]), most)
end
return out
