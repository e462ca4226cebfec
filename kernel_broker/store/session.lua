-- Everything that changes one session in Redis, each call atomic: KEYS = {session}, ARGV = {verb, ...}.
--
-- All keys of a session are made from KEYS[1], whose hash tag puts them in one slot:
--   <session>            hash: the record, its lease (holder, epoch, lease_ms, lease_until), its expiry, and
--                        `names`, the number of its entries: if it is wrong, Redis has evicted them
--   <session>:entries    hash: name -> bytes
--   <session>:refs       hash: id of a referenced chunk -> its size
--   <session>:garbage    zset: id of a written, unreferenced chunk -> since when (ms)
--   <session>:runs       hash: run id -> "0:revision:token" (begun) or "1:revision:log" (finished)
--   <session>:order      list: run ids, oldest first
--   <session>:chunk:<id> string: bytes
-- A verb looks at everything it may refuse before its first write: a script that fails half-way is not undone.
-- Every verb may be repeated after a lost answer. An answer is a list whose first member says what it is.

local session, verb = KEYS[1], ARGV[1]
local entries, refs, garbage = session .. ':entries', session .. ':refs', session .. ':garbage'
local runs, order = session .. ':runs', session .. ':order'
local RUNS_KEPT = 64
local COLLECTED_AT_ONCE = 500

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
  return string.format('%.0f', number)
end

local function chunk(id)
  return session .. ':chunk:' .. id
end

-- Milliseconds a chunk key has to live. It outlives the session by an eighth, so that a commit renews the
-- chunks' expiry only now and then: `covered` is until when every referenced chunk is known to live.
local function chunk_life(life)
  local covered = tonumber(call('HGET', session, 'covered') or '0')
  return math.max(life + math.floor(life / 8), covered - now)
end

-- The session was used: start the expiry of all its keys anew, never before the lease's.
local function keep()
  local v = call('HMGET', session, 'ttl_ms', 'holder', 'lease_until', 'covered')
  local life = tonumber(v[1])
  if v[2] ~= '' then
    life = math.max(life, tonumber(v[3]) - now)
  end
  if now + life > tonumber(v[4]) then
    local longer = life + math.floor(life / 8)
    call('HSET', session, 'covered', whole(now + longer))
    for _, id in ipairs(call('HKEYS', refs)) do
      call('PEXPIRE', chunk(id), whole(longer))
    end
  end
  for _, key in ipairs({session, entries, refs, garbage, runs, order}) do
    call('PEXPIRE', key, whole(life))
  end
  return life
end

-- Why the lease (ARGV[2] holder, ARGV[3] epoch) is not the session's; nil if it is.
local function refused()
  local v = call('HMGET', session, 'holder', 'epoch')
  if not v[2] then
    return {'missing'}
  end
  if v[1] ~= ARGV[2] or v[2] ~= ARGV[3] then
    return {'stale'}
  end
end

local function grant(lease_ms)
  call('HSET', session, 'lease_ms', lease_ms, 'lease_until', whole(now + lease_ms))
end

local function remember(run, record)
  if call('HSET', runs, run, record) == 1 and call('RPUSH', order, run) > RUNS_KEPT then
    call('HDEL', runs, call('LPOP', order))
  end
end

local verbs = {}

-- owner, revision, created_at, last_activity, ttl, ttl_ms, doc
function verbs.create()
  if call('EXISTS', session) == 1 then
    return {'exists', call('HGET', session, 'owner')}
  end
  -- Epochs start at the time, so that a deleted namesake's lease never fits.
  local epoch = time[1] .. string.format('%06d', time[2])
  call('HSET', session, 'owner', ARGV[2], 'revision', ARGV[3], 'created_at', ARGV[4],
    'last_activity', ARGV[5], 'ttl', ARGV[6], 'ttl_ms', ARGV[7], 'doc', ARGV[8], 'size', '0',
    'names', '0',
    'epoch', epoch, 'holder', '', 'lease_ms', '0', 'lease_until', '0', 'covered', '0', 'token', '')
  keep()
  return {'ok', ARGV[2]}
end

-- last_activity
function verbs.touch()
  if call('EXISTS', session) == 1 then
    call('HSET', session, 'last_activity', ARGV[2])
    keep()
  end
  return {'ok'}
end

function verbs.delete()
  local owner = call('HGET', session, 'owner')
  for _, id in ipairs(call('HKEYS', refs)) do
    call('UNLINK', chunk(id))
  end
  for _, id in ipairs(call('ZRANGE', garbage, 0, -1)) do
    call('UNLINK', chunk(id))
  end
  call('UNLINK', session, entries, refs, garbage, runs, order)
  return owner and {'ok', owner} or {'missing'}
end

-- holder, lease_ms
function verbs.acquire()
  local v = call('HMGET', session, 'epoch', 'holder', 'lease_until')
  if not v[1] then
    return {'missing'}
  end
  if v[2] ~= '' and v[2] ~= ARGV[2] and tonumber(v[3]) > now then
    return {'held', v[2], whole(v[3] - now)}
  end
  call('HINCRBY', session, 'epoch', 1)
  call('HSET', session, 'holder', ARGV[2])
  grant(ARGV[3])
  keep()
  return {'ok', call('HGET', session, 'epoch')}
end

-- holder, epoch, lease_ms
function verbs.renew()
  local refusal = refused()
  if refusal then
    return refusal
  end
  grant(ARGV[4])
  keep()
  return {'ok'}
end

-- holder, epoch
function verbs.release()
  if not refused() then
    call('HSET', session, 'holder', '')
  end
  return {'ok'}
end

-- holder, epoch, run_id, last_activity, lease_ms, token
function verbs.begin_run()
  local refusal = refused()
  if refusal then
    return refusal
  end
  local begun = '0:' .. call('HGET', session, 'revision') .. ':' .. ARGV[7]
  local known = call('HGET', runs, ARGV[4])
  if known and known ~= begun then
    return {'known', known}
  end
  remember(ARGV[4], begun)
  call('HSET', session, 'last_activity', ARGV[5])
  grant(ARGV[6])
  keep()
  return {'ok'}
end

-- the number of entries there should be, then name and bytes of each
function verbs.entries()
  local names = call('HGET', session, 'names')
  return names and {'ok', names, call('HGETALL', entries)} or {'missing'}
end

-- ids of chunks: those that are not there
function verbs.missing()
  local absent = {'ok'}
  local life = call('PTTL', session)
  for i = 2, #ARGV do
    if life < 0 or call('EXISTS', chunk(ARGV[i])) == 0 then
      absent[#absent + 1] = ARGV[i]
    elseif call('ZSCORE', garbage, ARGV[i]) then
      call('ZADD', garbage, whole(now), ARGV[i])
      call('PEXPIRE', chunk(ARGV[i]), whole(chunk_life(life)))
    end
  end
  return absent
end

-- ids of chunks that have just been written
function verbs.stage()
  if call('EXISTS', session) == 0 then
    for i = 2, #ARGV do
      call('UNLINK', chunk(ARGV[i]))
    end
    return {'missing'}
  end
  for i = 2, #ARGV do
    if call('HEXISTS', refs, ARGV[i]) == 0 then
      call('ZADD', garbage, whole(now), ARGV[i])
    end
  end
  local life = chunk_life(keep())
  for i = 2, #ARGV do
    call('PEXPIRE', chunk(ARGV[i]), whole(life))
  end
  return {'ok'}
end

-- The four lists at the end of a commit's arguments, as the positions of their first members.
local function change_entries(first, puts, deletes)
  local growth = 0
  -- First what a full Redis refuses: it refuses only the first write of a script.
  for i = first, first + 2 * puts - 2, 2 do
    growth = growth - call('HSTRLEN', entries, ARGV[i]) + #ARGV[i + 1]
    call('HSET', entries, ARGV[i], ARGV[i + 1])
  end
  for i = first + 2 * puts, first + 2 * puts + deletes - 1 do
    growth = growth - call('HSTRLEN', entries, ARGV[i])
    call('HDEL', entries, ARGV[i])
  end
  return growth
end

local function change_references(first, adds)
  local growth = 0
  for i = first + adds, #ARGV do
    local size = call('HGET', refs, ARGV[i])
    if size then
      growth = growth - size
      call('HDEL', refs, ARGV[i])
      call('ZADD', garbage, whole(now), ARGV[i])
    end
  end
  local life = chunk_life(tonumber(call('HGET', session, 'ttl_ms')))
  for i = first, first + adds - 1 do
    local size = call('STRLEN', chunk(ARGV[i]))
    if call('HSETNX', refs, ARGV[i], size) == 1 then
      growth = growth + size
    end
    call('ZREM', garbage, ARGV[i])
    call('PEXPIRE', chunk(ARGV[i]), whole(life))
  end
  return growth
end

-- holder, epoch, parent, token, last_activity, doc, run_id (or ''), run record, how many to put, to delete and
-- to add; then name and bytes of each put, names to delete, chunk ids to add, chunk ids to drop
function verbs.commit()
  local v = call('HMGET', session, 'revision', 'token', 'size', 'lease_ms')
  if v[1] and v[2] == ARGV[5] then
    return {'ok', v[1]}
  end
  local refusal = refused()
  if refusal then
    return refusal
  end
  if v[1] ~= ARGV[4] then
    return {'conflict', v[1]}
  end
  local puts, deletes, adds = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
  local first_add = 13 + 2 * puts + deletes
  local gone = {'gone'}
  for i = first_add, first_add + adds - 1 do
    if call('EXISTS', chunk(ARGV[i])) == 0 then
      gone[#gone + 1] = ARGV[i]
    end
  end
  if #gone > 1 then
    return gone
  end
  local size = v[3] + change_entries(13, puts, deletes) + change_references(first_add, adds)
  local revision = whole(v[1] + 1)
  call('HSET', session, 'revision', revision, 'token', ARGV[5], 'last_activity', ARGV[6], 'doc', ARGV[7],
    'size', whole(size), 'names', call('HLEN', entries))
  if ARGV[8] ~= '' then
    remember(ARGV[8], ARGV[9])
  end
  grant(v[4])
  keep()
  return {'ok', revision}
end

-- holder, epoch, last_activity, doc
function verbs.reset()
  local refusal = refused()
  if refusal then
    return refusal
  end
  for _, id in ipairs(call('HKEYS', refs)) do
    call('ZADD', garbage, whole(now), id)
  end
  call('UNLINK', entries, refs)
  local revision = call('HINCRBY', session, 'revision', 1)
  call('HSET', session, 'last_activity', ARGV[4], 'doc', ARGV[5], 'size', '0', 'names', '0',
    'token', '')
  keep()
  return {'ok', whole(revision)}
end

-- before (ms): remove chunks unreferenced since then, some at a time
function verbs.collect()
  if call('EXISTS', session) == 0 then
    return {'missing'}
  end
  local ids = call('ZRANGEBYSCORE', garbage, '-inf', ARGV[2], 'LIMIT', 0, COLLECTED_AT_ONCE)
  local removed = 0
  for _, id in ipairs(ids) do
    removed = removed + call('UNLINK', chunk(id))
    call('ZREM', garbage, id)
  end
  return {'ok', whole(removed), whole(#ids)}
end

return verbs[verb]()
