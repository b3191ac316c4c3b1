-- One consistent look at the queue; changes nothing.
--
-- Returns {waiting, committed, {dataset, token, deadline_ms, order, crashes, ...}, {dead...},
--          {head_checkpoint, head_dataset, head_date, halted_dataset, halted_reason}, now_ms, torn}
-- with dead... = dataset, JSON, dataset, JSON, ..., and torn: 1 when keys are gone
local claims = {}
for _, dataset in ipairs(call('LRANGE', PROCESSING, 0, -1)) do
  table.insert(claims, dataset)
  table.insert(claims, call('HGET', CLAIMS, dataset) or '')
  table.insert(claims, call('ZSCORE', LEASES, dataset) or '0')
  table.insert(claims, call('ZSCORE', ORDER, dataset) or '0')
  table.insert(claims, call('HGET', TRIES, 'crashes:' .. dataset) or '0')
end
local state = call('HMGET', STATE,
  'head_checkpoint', 'head_dataset', 'head_date', 'halted_dataset', 'halted_reason', 'fence')
local gone = torn(state[1], state[6]) and 1 or 0
state[6] = nil
for index = 1, 5 do state[index] = state[index] or '' end
return { call('LLEN', WAITING), call('LLEN', COMMITS), claims,
  call('HGETALL', DEAD), state, now_ms(), gone }
