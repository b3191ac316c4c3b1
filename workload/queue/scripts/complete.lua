-- Commits a dataset that was trained on: the chain's head moves, the record is kept, the dataset is finished.
--
-- ARGV  1 dataset
--       2 token
--       3 base         checkpoint the training started from, '' for the first of the chain
--       4 checkpoint   checkpoint the training produced
--       5 date         the dataset's place on the time line
--       6 record       JSON object of the worker's own making
--
-- Returns 'committed' (also when this token committed it before: the reply may have been lost),
-- 'lost' (another worker holds or finished it), 'early' (an earlier dataset is unfinished),
-- 'stale' (the head is not `base`), or 'torn' (keys are gone, so that the head proves nothing).
local dataset, token, base, checkpoint, date, record =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if call('HGET', CLAIMS, dataset) ~= token then
  return call('HGET', DONE, dataset) == token and 'committed' or 'lost'
end
if call('ZRANK', ORDER, dataset) ~= 0 then return 'early' end
local head = call('HGET', STATE, 'head_checkpoint')
if (head or '') ~= base then return 'stale' end
if chain_broken(head) then return 'torn' end

local attempts, crashes = tries_of(dataset)
if attempts + crashes > 0 then forget_tries(dataset) end
local envelope = string.format('{"attempts":%d,"crashes":%d,"committed_ms":%d,"record":%s}',
  attempts, crashes, now_ms(), record)
call('RPUSH', COMMITS, envelope)
call('HSET', STATE, 'head_checkpoint', checkpoint, 'head_dataset', dataset, 'head_date', date)
finish(dataset, token)
-- Who waits for a turn holds a lease, and who waits for work found none waiting.
if call('ZCARD', LEASES) > 0 or call('LLEN', WAITING) == 0 then
  announce('committed')
end
return 'committed'
