-- Extends the leases a worker holds.
--
-- ARGV  1 lease_ms   new length of the leases, from now
--       2... dataset, token, dataset, token, ...
--
-- Returns the tokens that are no longer valid: their worker must stop working on those datasets.
local deadline = now_ms() + tonumber(ARGV[1])
local lost = {}
for index = 2, #ARGV, 2 do
  local dataset, token = ARGV[index], ARGV[index + 1]
  if call('HGET', CLAIMS, dataset) == token then
    call('ZADD', LEASES, deadline, dataset)
  else
    table.insert(lost, token)
  end
end
return lost
