-- Takes an unfinished dataset out of the queue by an operator's decision.
--
-- ARGV  1 dataset
--       2 reason
--
-- Returns 'skipped', or 'unknown' when the dataset is neither waiting nor claimed, or is finished. A
-- worker that holds it loses its token.
local dataset, reason = ARGV[1], ARGV[2]
local removed = call('LREM', WAITING, 0, dataset)
local finished = call('HGET', DONE, dataset)
if finished then return finished == 'skipped' and 'skipped' or 'unknown' end
if removed == 0 and call('HEXISTS', CLAIMS, dataset) == 0 then return 'unknown' end
dead_letter(dataset, 'skipped', reason)
unhalt(dataset)
announce('skipped')
return 'skipped'
