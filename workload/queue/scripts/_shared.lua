-- Prepended to every script of this folder: the keys, and those of the moves below that it uses
-- (a move is a function between blank lines).
--
-- KEYS (the same eleven for every script, in this order)
--   WAITING     list    datasets, oldest first; a plain RPUSH enqueues
--   PROCESSING  list    datasets claimed by a worker
--   LEASES      zset    dataset -> deadline of its lease (ms, this server's clock)
--   CLAIMS      hash    dataset -> fencing token of the worker that holds it
--   ORDER       zset    dataset -> its place in the order of the chain, from first claim until finished
--   STATE       hash    fence (counts claims; the first one gives a dataset its order),
--                       head_checkpoint, head_dataset, head_date, halted_dataset, halted_reason,
--                       replaced (hash of the ledger that a rebuild made void, until that is done)
--   COMMITS     list    one JSON envelope per committed dataset, in chain order
--   DONE        hash    finished dataset -> token that committed it, 'refused' or 'skipped'
--   DEAD        hash    refused or skipped dataset -> JSON {kind, reason, at_ms}
--   TRIES       hash    attempts:<dataset>, crashes:<dataset> -> count, until finished
--   EVENTS      stream  one entry whenever a waiting worker should look again
local call = redis.call
local WAITING, PROCESSING, LEASES, CLAIMS, ORDER, STATE, COMMITS, DONE, DEAD, TRIES, EVENTS =
  unpack(KEYS)

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Wakes every worker that waits for its turn or for the others to finish.
local function announce(what)
  call('XADD', EVENTS, 'MAXLEN', '~', 64, '*', 'event', what)
end

-- Ends the claim on a dataset, whoever holds it.
local function unclaim(dataset)
  call('HDEL', CLAIMS, dataset)
  call('ZREM', LEASES, dataset)
  call('LREM', PROCESSING, '1', dataset)
end

-- Returns a claimed dataset to the front of the waiting list, behind those that precede it. One
-- that only a foreign worker had (those take the newest) goes back to the end it came from.
local function put_back(dataset)
  unclaim(dataset)
  local order = tonumber(call('ZSCORE', ORDER, dataset))
  if not order then
    call('RPUSH', WAITING, dataset)
    return
  end
  local pivot, index = nil, 0
  while true do
    local neighbour = call('LINDEX', WAITING, index)
    local place = neighbour and tonumber(call('ZSCORE', ORDER, neighbour))
    if not place or place > order then break end
    pivot, index = neighbour, index + 1
  end
  if pivot then
    call('LINSERT', WAITING, 'AFTER', pivot, dataset)
  else
    call('LPUSH', WAITING, dataset)
  end
end

-- Failed attempts at a dataset and crashes of its workers, so far.
local function tries_of(dataset)
  local tries = call('HMGET', TRIES, 'attempts:' .. dataset, 'crashes:' .. dataset)
  return tonumber(tries[1] or 0), tonumber(tries[2] or 0)
end

local function forget_tries(dataset)
  call('HDEL', TRIES, 'attempts:' .. dataset, 'crashes:' .. dataset)
end

-- Whether keys that tell what is finished are gone while others are there: somebody deleted one, or
-- the server evicted it. `head` is the checkpoint of the last commit.
local function chain_broken(head)
  local commits = call('LLEN', COMMITS)
  if (commits > 0) ~= (head and true or false) then return true end
  if call('HLEN', DONE) ~= commits + call('HLEN', DEAD) then return true end
end

-- The same of any key that another one tells of. `head` and `fence` are those of STATE.
local function torn(head, fence)
  local claims, places = call('HLEN', CLAIMS), call('ZCARD', ORDER)
  if chain_broken(head) or places < claims or call('LLEN', PROCESSING) < claims then return true end
  if places > 0 and not fence then return true end
end

-- Takes a dataset out of the queue for good.
local function finish(dataset, verdict)
  unclaim(dataset)
  call('ZREM', ORDER, dataset)
  call('HSET', DONE, dataset, verdict)
end

local function dead_letter(dataset, kind, reason)
  forget_tries(dataset)
  finish(dataset, kind)
  call('HSET', DEAD, dataset,
    cjson.encode({ kind = kind, reason = reason, at_ms = now_ms() }))
end

-- Stops the chain at a dataset until an operator retries or skips it.
local function halt(dataset, reason)
  call('HSET', STATE, 'halted_dataset', dataset, 'halted_reason', reason)
end

-- Ends a halt at a dataset that is no longer in the way.
local function unhalt(dataset)
  if call('HGET', STATE, 'halted_dataset') == dataset then
    call('HDEL', STATE, 'halted_dataset', 'halted_reason')
  end
end

-- Counts a crash and returns the dataset to the queue; at the limit the chain halts.
local function crash(dataset, limit)
  put_back(dataset)
  local crashes = call('HINCRBY', TRIES, 'crashes:' .. dataset, 1)
  if crashes >= limit then
    halt(dataset, 'its worker died ' .. crashes .. ' times')
  end
end
