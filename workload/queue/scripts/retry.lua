-- Lets a halted chain go on: the dataset it halted on is tried again from zero.
--
-- ARGV  dataset...
--
-- Returns one verdict per dataset: 'retried', 'refused' (only a rebuild readmits it), 'skipped'
-- (the same), or 'not halted'.
local halted = call('HGET', STATE, 'halted_dataset')
local verdicts = {}
for _, dataset in ipairs(ARGV) do
  local finished = call('HGET', DONE, dataset)
  if dataset == halted then
    call('HDEL', STATE, 'halted_dataset', 'halted_reason')
    forget_tries(dataset)
    announce('retried')
    table.insert(verdicts, 'retried')
  elseif finished == 'refused' or finished == 'skipped' then
    table.insert(verdicts, finished)
  else
    table.insert(verdicts, 'not halted')
  end
end
return verdicts
