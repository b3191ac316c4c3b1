-- Claims the next dataset for a worker, or tells it what to wait for.
--
-- ARGV  1 request      session.number, unique for each call; the token becomes fence.request
--       2 lease_ms     length of the lease
--       3 crash_limit  expired leases of one dataset after which the chain halts
--       4 holding      dataset the worker holds already and wants to fold, or ''
--       5 token        its token, or ''
--       6 repeated     1 when the reply to this very request may have been lost
--
-- Returns one of
--   {'claimed', dataset, token, order, attempts, crashes, first, head...}   first: 1 when every
--                                                          earlier dataset is finished
--   {'turn', head...}     `holding` is first in order: it may be folded on this head
--   {'wait', ms, event}   look again after ms, or when EVENTS grows past event
--   {'empty', ms, event, processing, filled}   nothing to claim; `processing` datasets are held
--                         elsewhere; filled: 1 once the queue has ever held anything
--   {'lost'}              the token of `holding` is no longer valid
--   {'halted', dataset, reason}
-- with head... = checkpoint, dataset, date of the last commit ('' before the first).
local request, lease_ms, crash_limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local holding, token, repeated = ARGV[4], ARGV[5], ARGV[6] == '1'
local REAP_AT_MOST, DROP_AT_MOST = 16, 1000
local now = now_ms()

local state = redis.call('HMGET', STATE,
  'head_checkpoint', 'head_dataset', 'head_date', 'halted_dataset', 'halted_reason')

local function is_first(dataset)
  return redis.call('ZRANGE', ORDER, 0, 0)[1] == dataset
end

local function claimed(dataset, granted, order, attempts, crashes)
  return { 'claimed', dataset, granted, order, attempts, crashes, is_first(dataset) and 1 or 0,
    state[1] or '', state[2] or '', state[3] or '' }
end

-- Gives a dataset to the worker; `order` is its place when it was claimed before.
local function grant(dataset, order)
  local fence = redis.call('HINCRBY', STATE, 'fence', 1)
  local granted = fence .. '.' .. request
  local attempts, crashes = 0, 0
  if order then
    attempts, crashes = tries_of(dataset)
  else
    order = fence
    redis.call('ZADD', ORDER, order, dataset)
  end
  redis.call('RPUSH', PROCESSING, dataset)
  redis.call('HSET', CLAIMS, dataset, granted)
  redis.call('ZADD', LEASES, now + lease_ms, dataset)
  return claimed(dataset, granted, order, attempts, crashes)
end

-- A dataset in PROCESSING without a lease was claimed by a foreign worker: it gets a grace lease.
local function adopt()
  if redis.call('LLEN', PROCESSING) == redis.call('ZCARD', LEASES) then return end
  for _, dataset in ipairs(redis.call('LRANGE', PROCESSING, 0, REAP_AT_MOST - 1)) do
    redis.call('ZADD', LEASES, 'NX', now + lease_ms, dataset)
  end
end

local function pause()
  local deadline = redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2]
  local event = redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', 1)[1]
  return math.max((tonumber(deadline) or now + lease_ms) - now, 0) + 1, event and event[1] or '0-0'
end

-- Expired leases come back, the latest first so that the earliest ends up in front.
local expired = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, REAP_AT_MOST)
table.sort(expired, function(a, b)
  return (tonumber(redis.call('ZSCORE', ORDER, a)) or 0) > (tonumber(redis.call('ZSCORE', ORDER, b)) or 0)
end)
for _, dataset in ipairs(expired) do
  if redis.call('HEXISTS', CLAIMS, dataset) == 1 then
    crash(dataset, crash_limit)
  else
    put_back(dataset)
  end
end
if #expired > 0 then
  announce('expired')
  local halted = redis.call('HMGET', STATE, 'halted_dataset', 'halted_reason')
  state[4], state[5] = halted[1], halted[2]
end

if state[4] then return { 'halted', state[4], state[5] } end

if repeated then
  local claims = redis.call('HGETALL', CLAIMS)
  for index = 1, #claims, 2 do
    local granted = claims[index + 1]
    if string.sub(granted, -#request - 1) == '.' .. request then
      local dataset = claims[index]
      return claimed(dataset, granted, redis.call('ZSCORE', ORDER, dataset), tries_of(dataset))
    end
  end
end

if holding ~= '' then
  if redis.call('HGET', CLAIMS, holding) ~= token then return { 'lost' } end
  adopt()
  while not is_first(holding) do
    local first = redis.call('ZRANGE', ORDER, 0, 0)[1]
    if redis.call('ZSCORE', LEASES, first) then return { 'wait', pause() } end
    if redis.call('LREM', WAITING, 1, first) == 1 then
      return grant(first, redis.call('ZSCORE', ORDER, first))
    end
    redis.call('ZREM', ORDER, first) -- removed from the lists by hand
  end
  return { 'turn', state[1] or '', state[2] or '', state[3] or '' }
end

for _ = 1, DROP_AT_MOST do
  local dataset = redis.call('LPOP', WAITING)
  if not dataset then
    adopt()
    local ms, event = pause()
    local processing = redis.call('LLEN', PROCESSING)
    local filled = processing > 0 or redis.call('EXISTS', STATE, DEAD) > 0
    return { 'empty', ms, event, processing, filled and 1 or 0 }
  end
  -- A second copy of a dataset that is finished or in work is dropped.
  local order = redis.call('ZSCORE', ORDER, dataset)
  local in_work = order and redis.call('HEXISTS', CLAIMS, dataset) == 1
  if not in_work and redis.call('HEXISTS', DONE, dataset) == 0 then
    return grant(dataset, order)
  end
end
return { 'wait', 0, '0-0' }
