-- Claims the next dataset for a worker, or tells it what to wait for.
--
-- ARGV  1 request      session.number, unique for each call; the token becomes fence.request
--       2 lease_ms     length of the lease
--       3 crash_limit  expired leases of one dataset after which the chain halts
--       4 holding      dataset the worker holds already and wants to train on, or ''
--       5 token        its token, or ''
--       6 repeated     1 when the reply to this very request may have been lost
--
-- Returns one of
--   {'claimed', dataset, token, order, attempts, crashes, first, head...}   first: 1 when every
--                                                          earlier dataset is finished
--   {'turn', head...}     `holding` is first in order: it may be trained on this head
--   {'wait', ms, event}   look again after ms, or when EVENTS grows past event
--   {'empty', ms, event, processing, filled}   nothing to claim; `processing` datasets are held
--                         elsewhere; filled: 1 once the queue has ever held anything
--   {'lost'}              the token of `holding` is no longer valid
--   {'halted', dataset, reason}
--   {'torn'}              keys are gone: the files must say what was learned
-- with head... = checkpoint, dataset, date of the last commit ('' before the first).
local request, lease_ms, crash_limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local holding, token, repeated = ARGV[4], ARGV[5], ARGV[6] == '1'
local REAP_AT_MOST, DROP_AT_MOST = 16, 1000
local now = now_ms()

local state = call('HMGET', STATE,
  'head_checkpoint', 'head_dataset', 'head_date', 'halted_dataset', 'halted_reason', 'fence')

if torn(state[1], state[6]) then return { 'torn' } end

local function claimed(dataset, granted, order, attempts, crashes)
  local first = call('ZRANK', ORDER, dataset) == 0 and 1 or 0
  return { 'claimed', dataset, granted, order, attempts, crashes, first,
    state[1] or '', state[2] or '', state[3] or '' }
end

-- Gives a dataset that was just moved to PROCESSING to the worker.
local function grant(dataset)
  local fence = call('HINCRBY', STATE, 'fence', '1')
  local granted = fence .. '.' .. request
  local order, attempts, crashes = fence, 0, 0
  if call('ZADD', ORDER, 'NX', fence, dataset) == 0 then -- claimed before: it keeps its place
    order = call('ZSCORE', ORDER, dataset)
    attempts, crashes = tries_of(dataset)
  end
  call('HSET', CLAIMS, dataset, granted)
  call('ZADD', LEASES, now + lease_ms, dataset)
  return claimed(dataset, granted, order, attempts, crashes)
end

-- Expired leases come back, the latest first so that the earliest ends up in front.
local expired = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', '0', REAP_AT_MOST)
if #expired > 0 then
  table.sort(expired, function(a, b)
    return (tonumber(call('ZSCORE', ORDER, a)) or 0) > (tonumber(call('ZSCORE', ORDER, b)) or 0)
  end)
  for _, dataset in ipairs(expired) do
    if call('HEXISTS', CLAIMS, dataset) == 1 then
      crash(dataset, crash_limit)
    elseif call('LPOS', PROCESSING, dataset) then
      put_back(dataset)
    else
      unclaim(dataset) -- its foreign worker finished it
    end
  end
  announce('expired')
  local halted = call('HMGET', STATE, 'halted_dataset', 'halted_reason')
  state[4], state[5] = halted[1], halted[2]
end

-- A halt stops what comes after the dataset it names, not what precedes it.
if state[4] then
  local halt_at, place = call('ZSCORE', ORDER, state[4]), call('ZSCORE', ORDER, holding)
  if not (halt_at and place and tonumber(place) < tonumber(halt_at)) then
    return { 'halted', state[4], state[5] }
  end
end

if repeated then
  local claims = call('HGETALL', CLAIMS)
  for index = 1, #claims, 2 do
    local granted = claims[index + 1]
    if string.sub(granted, -#request - 1) == '.' .. request then
      local dataset = claims[index]
      return claimed(dataset, granted, call('ZSCORE', ORDER, dataset), tries_of(dataset))
    end
  end
end

if holding == '' then
  for _ = 1, DROP_AT_MOST do
    local dataset = call('LMOVE', WAITING, PROCESSING, 'LEFT', 'RIGHT')
    if not dataset then break end
    if call('HEXISTS', DONE, dataset) + call('HEXISTS', CLAIMS, dataset) == 0 then
      return grant(dataset)
    end
    -- A second copy of a dataset that is finished or in progress is dropped.
    call('LREM', PROCESSING, '-1', dataset)
  end
end

-- A dataset in PROCESSING without a lease was claimed by a foreign worker: it gets a grace lease.
for _, dataset in ipairs(call('LRANGE', PROCESSING, 0, REAP_AT_MOST - 1)) do
  call('ZADD', LEASES, 'NX', now + lease_ms, dataset)
end

local function pause()
  local deadline = call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2]
  local event = call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
  return math.max((tonumber(deadline) or now + lease_ms) - now, 0) + 1, event and event[1] or '0-0'
end

if holding ~= '' then
  if call('HGET', CLAIMS, holding) ~= token then return { 'lost' } end
  while true do
    local first = call('ZRANGE', ORDER, 0, 0)[1]
    if first == holding then break end
    if call('LPOS', PROCESSING, first) then
      call('ZADD', LEASES, 'NX', now + lease_ms, first)
      return { 'wait', pause() }
    end
    if call('LREM', WAITING, 1, first) == 1 then
      call('RPUSH', PROCESSING, first)
      return grant(first)
    end
    call('ZREM', ORDER, first) -- removed from the lists by hand
  end
  return { 'turn', state[1] or '', state[2] or '', state[3] or '' }
end

if call('LLEN', WAITING) > 0 then return { 'wait', 0, '0-0' } end
local ms, event = pause()
local processing = math.max(call('LLEN', PROCESSING), call('ZCARD', LEASES))
local filled = processing > 0 or call('EXISTS', STATE, DEAD) > 0
return { 'empty', ms, event, processing, filled and 1 or 0 }
