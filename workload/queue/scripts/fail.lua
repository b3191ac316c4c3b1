-- Counts a failed attempt and returns the dataset to the queue; at the limit the chain halts.
--
-- ARGV  1 dataset
--       2 token
--       3 reason         one line
--       4 max_attempts
--
-- Returns {'retry', attempts}, {'halted', attempts} or {'lost', 0}.
local dataset, token, reason, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if call('HGET', CLAIMS, dataset) ~= token then return { 'lost', 0 } end
put_back(dataset)
local attempts = call('HINCRBY', TRIES, 'attempts:' .. dataset, 1)
local outcome = 'retry'
if attempts >= limit then
  halt(dataset, reason)
  outcome = 'halted'
end
announce('failed')
return { outcome, attempts }
