-- Brings the queue to what the files on the share prove.
--
-- ARGV  1 mode      'extend': append commits to the head they continue, leave the rest alone;
--                   'mend': where keys are gone, start over with these commits and with all that
--                   the keys left tell;
--                   'replace': start over, with these commits, waiting datasets and dead letters
--       2 head      extend, mend: the head as it was seen ('' for none)
--       3 length    mend: of the list of commits as it was seen
--       4 ledger    replace: hash of the ledger that becomes void
--       5 plan      JSON {commits: [{dataset, checkpoint, date, envelope}], waiting: [dataset],
--                   dead: [{dataset, kind, reason}]}
--
-- Returns 'restored', or 'moved' when it is not as it was seen, or keys are gone that an extension
-- does not bring back. The fence never goes back, so that no token is given out twice.
local mode, seen, length, ledger, plan = ARGV[1], ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[5])
local head, fence = unpack(call('HMGET', STATE, 'head_checkpoint', 'fence'))

-- Adds to the plan what was in the queue. What was finished, as far as the keys left tell, and is
-- not among the commits is to be learned again, before all others, which keep their places.
local function keep_the_rest()
  local known, again = {}, {}
  for _, commit in ipairs(plan.commits) do known[commit.dataset] = true end
  local function keep(dataset)
    if not known[dataset] then table.insert(again, dataset) end
    known[dataset] = true
  end
  local dead, done, in_work =
    call('HGETALL', DEAD), call('HGETALL', DONE), call('HKEYS', CLAIMS)
  for index = 1, #dead, 2 do
    local letter = cjson.decode(dead[index + 1])
    letter.dataset = dead[index]
    if not known[letter.dataset] then table.insert(plan.dead, letter) end
    known[letter.dataset] = true
  end
  for index = 1, #done, 2 do
    local dataset, verdict = done[index], done[index + 1]
    if not known[dataset] and (verdict == 'refused' or verdict == 'skipped') then
      table.insert(plan.dead, { dataset = dataset, kind = verdict, reason = 'Redis lost the reason' })
      known[dataset] = true
    end
    keep(dataset)
  end
  table.sort(again)
  for _, dataset in ipairs(call('ZRANGE', ORDER, 0, -1)) do keep(dataset) end
  table.sort(in_work)
  for _, dataset in ipairs(in_work) do keep(dataset) end
  for _, dataset in ipairs(call('LRANGE', WAITING, 0, -1)) do keep(dataset) end
  plan.waiting = again
end

if mode ~= 'replace' and (head or '') ~= seen then return 'moved' end
if mode == 'extend' then
  if torn(head, fence) then return 'moved' end
else
  if mode == 'mend' then
    if not torn(head, fence) or call('LLEN', COMMITS) ~= tonumber(length) then return 'moved' end
    keep_the_rest()
  end
  call('DEL', WAITING, PROCESSING, LEASES, CLAIMS, ORDER, STATE, COMMITS, DONE, DEAD, TRIES)
  call('HSET', STATE, 'fence', fence or 0, 'replaced', ledger)
end
for _, commit in ipairs(plan.commits) do
  call('LREM', WAITING, 0, commit.dataset)
  call('HDEL', DEAD, commit.dataset)
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
