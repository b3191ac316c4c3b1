-- Returns everything a worker's session holds to the front of the queue.
--
-- ARGV  1 session
--       2 crash_limit   0: an orderly hand-back, which counts as nothing;
--                       otherwise the worker died, and a dataset that reaches the limit halts
--
-- Returns the datasets handed back. A hand-back is not an attempt.
local session, crash_limit = ARGV[1], tonumber(ARGV[2])
local returned = {}
local claims = call('HGETALL', CLAIMS)
for index = 1, #claims, 2 do
  local _, _, owner = string.find(claims[index + 1], '^%d+%.(.*)%.%d+$')
  if owner == session then table.insert(returned, claims[index]) end
end
for _, dataset in ipairs(returned) do
  if crash_limit > 0 then
    crash(dataset, crash_limit)
  else
    put_back(dataset)
  end
end
if #returned > 0 then announce('returned') end
return returned
