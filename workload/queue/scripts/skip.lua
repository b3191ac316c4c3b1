-- Takes an unfinished dataset out of the queue by an operator's decision.
--
-- ARGV  1 dataset
--       2 reason
--
-- Returns 'skipped', or 'unknown' when the dataset is neither waiting nor claimed. A worker that
-- holds it loses its token.
local dataset, reason = ARGV[1], ARGV[2]
local removed = redis.call('LREM', WAITING, 0, dataset)
if removed == 0 and redis.call('HEXISTS', CLAIMS, dataset) == 0 then return 'unknown' end
bury(dataset, 'skipped', reason)
if redis.call('HGET', STATE, 'halted_dataset') == dataset then
  redis.call('HDEL', STATE, 'halted_dataset', 'halted_reason')
end
announce('skipped')
return 'skipped'
