-- Moves a dataset that is bad in itself to the dead letters; the chain continues without it.
--
-- ARGV  1 dataset
--       2 token
--       3 reason   one line
--
-- Returns 'refused' or 'lost'.
local dataset, token, reason = ARGV[1], ARGV[2], ARGV[3]
if call('HGET', CLAIMS, dataset) ~= token then return 'lost' end
dead_letter(dataset, 'refused', reason)
announce('refused')
return 'refused'
