-- Brings the queue to what the files on the share prove.
--
-- ARGV  1 mode      'extend': append commits to the head they continue, leave the rest alone;
--                   'replace': start over, with these commits, waiting datasets and dead letters
--       2 head      extend: the head the commits continue ('' for none)
--       3 plan      JSON {commits: [{dataset, checkpoint, date, envelope}], waiting: [dataset],
--                   dead: [{dataset, kind, reason}]}
--
-- Returns 'restored', or 'moved' when extend no longer fits the head. The fence never goes
-- back, so that no token is given out twice.
local mode, expected, plan = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
if mode == 'extend' then
  if (call('HGET', STATE, 'head_checkpoint') or '') ~= expected then return 'moved' end
else
  local fence = call('HGET', STATE, 'fence') or 0
  call('DEL', WAITING, PROCESSING, LEASES, CLAIMS, ORDER, STATE, COMMITS, DONE, DEAD, TRIES)
  call('HSET', STATE, 'fence', fence)
end
for _, commit in ipairs(plan.commits) do
  call('LREM', WAITING, 0, commit.dataset)
  forget_tries(commit.dataset)
  unhalt(commit.dataset)
  finish(commit.dataset, 'restored')
  call('RPUSH', COMMITS, commit.envelope)
  call('HSET', STATE, 'head_checkpoint', commit.checkpoint,
    'head_dataset', commit.dataset, 'head_date', commit.date)
end
for _, letter in ipairs(plan.dead) do dead_letter(letter.dataset, letter.kind, letter.reason) end
for _, dataset in ipairs(plan.waiting) do call('RPUSH', WAITING, dataset) end
announce('restored')
return 'restored'
