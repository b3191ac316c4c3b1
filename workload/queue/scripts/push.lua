-- Enqueues datasets, each at most once: safe to run twice.
--
-- ARGV  dataset...
--
-- Returns {length of the waiting list, {verdict...}}, one verdict per dataset: 'pushed', 'waiting',
-- 'processing', 'committed', 'refused' or 'skipped'.
local waiting = {}
for _, dataset in ipairs(call('LRANGE', WAITING, 0, -1)) do waiting[dataset] = true end
local verdicts = {}
for _, dataset in ipairs(ARGV) do
  local verdict = 'pushed'
  local finished = call('HGET', DONE, dataset)
  if waiting[dataset] then
    verdict = 'waiting'
  elseif call('HEXISTS', CLAIMS, dataset) == 1 then
    verdict = 'processing'
  elseif finished == 'refused' or finished == 'skipped' then
    verdict = finished
  elseif finished then
    verdict = 'committed'
  else
    call('RPUSH', WAITING, dataset)
    waiting[dataset] = true
  end
  table.insert(verdicts, verdict)
end
announce('pushed')
return { call('LLEN', WAITING), verdicts }
