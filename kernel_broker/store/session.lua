-- Everything that changes one session in Redis, each call atomic: KEYS = {session}, ARGV = {verb, ...}.
-- (`revisions.lua` goes on: heads and their past.)
--
-- All keys of a session are made from KEYS[1], whose hash tag puts them in one slot:
--   <session>            hash: the record, its lease (holder, epoch, lease_ms, lease_until), its expiry, and
--                        `names`, the number of its entries: if it is wrong, Redis has evicted them
--   <session>:entries    hash: name -> bytes
--   <session>:refs       hash: id of a referenced chunk -> its size
--   <session>:held       hash: id of a chunk that old revisions refer to -> how many steps dropped it
--   <session>:history    hash: at:<n>, run:<n>, doc:<n>, size:<n> of a kept revision; old:<n>, bytes of entries
--                        that the next one replaced; steps:<n>, how much is in its undo
--   <session>:undo:<n>   hash: what leads from revision n back to the one before: "=name" -> its bytes then,
--                        "!name" was not there, "-id" -> size of a chunk dropped, "+id" was not referred to
--   <session>:runs       hash: run id -> "0:revision:token" (begun) or "1:revision:log" (finished)
--   <session>:order      list: run ids, oldest first
-- A family is a session and its forks, theirs included; its keys carry the first one's tag, so <session> is
-- <family> or <family>:fork:<token>. Where a fork is, the hash at the key of its own id says (`home`).
--   <family>:garbage     zset: id of a written, unreferenced chunk -> since when (ms)
--   <family>:members     set: the sessions, once there is more than one
--   <family>:chunk:<id>  string: bytes
-- A verb looks at everything it may refuse before its first write: a script that fails half-way is not undone.
-- Every verb may be repeated after a lost answer. An answer is a list whose first member says what it is.

local session, verb = KEYS[1], ARGV[1]
local family = string.match(session, '^[^}]*}')
local entries, refs, held = session .. ':entries', session .. ':refs', session .. ':held'
local history, runs, order = session .. ':history', session .. ':runs', session .. ':order'
local garbage, members = family .. ':garbage', family .. ':members'
local RUNS_KEPT = 64
local COLLECTED_AT_ONCE = 500
local CLAIM_MS = 600000

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(number)
  return string.format('%.0f', number)
end

local function chunk(id)
  return family .. ':chunk:' .. id
end

-- The name has the time of the session's creation in it: what is left of an expired namesake is not read.
local function undo(n, of)
  return (of or session) .. ':undo:' .. (call('HGET', of or session, 'born') or '') .. ':' .. n
end

-- The other living sessions of the family.
local living
local function others()
  if not living then
    living = {}
    for _, member in ipairs(call('SMEMBERS', members)) do
      if member ~= session and call('EXISTS', member) == 1 then
        living[#living + 1] = member
      end
    end
  end
  return living
end

-- Of keys that sessions may share: nobody shortens another one's.
local function extend(key, ms)
  if #others() == 0 or call('PTTL', key) < ms then
    call('PEXPIRE', key, whole(ms))
  end
end

-- Milliseconds a chunk key has to live. It outlives the session by an eighth, so that a commit renews the
-- chunks' expiry only now and then: `covered` is until when every referenced chunk is known to live.
local function chunk_life(life)
  local covered = tonumber(call('HGET', session, 'covered') or '0')
  return math.max(life + math.floor(life / 8), covered - now)
end

-- The session was used: start the expiry of all its keys anew, never before the lease's.
local function keep(of)
  of = of or session
  local v = call('HMGET', of, 'ttl_ms', 'holder', 'lease_until', 'covered', 'floor', 'revision')
  local life = tonumber(v[1])
  if v[2] ~= '' then
    life = math.max(life, tonumber(v[3]) - now)
  end
  if now + life > tonumber(v[4]) then
    local longer = life + math.floor(life / 8)
    call('HSET', of, 'covered', whole(now + longer))
    for _, suffix in ipairs({':refs', ':held'}) do
      for _, id in ipairs(call('HKEYS', of .. suffix)) do
        extend(chunk(id), longer)
      end
    end
    for n = tonumber(v[5] or v[6]) + 1, tonumber(v[6]) do
      call('PEXPIRE', undo(whole(n), of), whole(longer))
    end
  end
  for _, suffix in ipairs({'', ':entries', ':refs', ':held', ':history', ':runs', ':order'}) do
    call('PEXPIRE', of .. suffix, whole(life))
  end
  extend(garbage, life)
  extend(members, life)
  return life
end

local function holds(member, id)
  return call('HEXISTS', member .. ':refs', id) == 1 or call('HEXISTS', member .. ':held', id) == 1
end

local function shared(id)
  for _, member in ipairs(others()) do
    if holds(member, id) then
      return true
    end
  end
  return false
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

-- What revision n is known by.
local function record_revision(of, n, at, run, doc, size)
  call('HSET', of .. ':history', 'at:' .. n, at, 'run:' .. n, run, 'doc:' .. n, doc, 'size:' .. n, size)
end

-- A new session: owner, revision, created_at, last_activity, ttl, ttl_ms, doc from ARGV[first] on.
local function establish(at, first, revision, size, names)
  -- Epochs start at the time, so that a deleted namesake's lease never fits.
  local epoch = time[1] .. string.format('%06d', time[2])
  local activity, doc = ARGV[first + 3], ARGV[first + 6]
  call('HSET', at, 'owner', ARGV[first], 'revision', revision, 'created_at', ARGV[first + 2],
    'last_activity', activity, 'ttl', ARGV[first + 4], 'ttl_ms', ARGV[first + 5], 'doc', doc, 'size', size,
    'names', names, 'floor', revision, 'old_size', '0', 'born', epoch,
    'epoch', epoch, 'holder', '', 'lease_ms', '0', 'lease_until', '0', 'covered', '0', 'token', '')
  record_revision(at, revision, activity, '', doc, size)
  keep(at)
end

local verbs = {}

-- owner, revision, created_at, last_activity, ttl, ttl_ms, doc
function verbs.create()
  if call('EXISTS', session) == 1 then
    return {'exists', call('HGET', session, 'owner')}
  end
  establish(session, 2, ARGV[3], '0', '0')
  if call('EXISTS', members) == 1 then
    call('SADD', members, session)
  end
  return {'ok', ARGV[2]}
end

function verbs.here()
  return {call('EXISTS', session) == 1 and 'ok' or 'missing'}
end

-- last_activity
function verbs.touch()
  if call('EXISTS', session) == 0 then
    return {'missing'}
  end
  call('HSET', session, 'last_activity', ARGV[2])
  keep()
  return {'ok'}
end

function verbs.delete()
  local v = call('HMGET', session, 'owner', 'floor', 'revision')
  for _, hash in ipairs({refs, held}) do
    for _, id in ipairs(call('HKEYS', hash)) do
      if not shared(id) then
        call('UNLINK', chunk(id))
        call('ZREM', garbage, id)
      end
    end
  end
  for n = tonumber(v[2] or v[3] or '0') + 1, tonumber(v[3] or '0') do
    call('UNLINK', undo(whole(n)))
  end
  if #others() > 0 then
    call('SREM', members, session)
  else
    for _, id in ipairs(call('ZRANGE', garbage, 0, -1)) do
      call('UNLINK', chunk(id))
    end
    call('UNLINK', garbage, members)
  end
  call('UNLINK', session, entries, refs, held, history, runs, order)
  return v[1] and {'ok', v[1]} or {'missing'}
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

-- run_id: what is known of it
function verbs.run()
  return {'ok', call('HGET', runs, ARGV[2])}
end

-- the number of entries there should be, then name and bytes of each
function verbs.entries()
  local names = call('HGET', session, 'names')
  return names and {'ok', names, call('HGETALL', entries)} or {'missing'}
end

-- ids of chunks: those that are not there
function verbs.missing()
  local life = call('PTTL', session)
  if life < 0 then
    return {'missing'}
  end
  local absent = {'ok'}
  for i = 2, #ARGV do
    if call('EXISTS', chunk(ARGV[i])) == 0 then
      absent[#absent + 1] = ARGV[i]
    else
      if call('ZSCORE', garbage, ARGV[i]) then
        call('ZADD', garbage, whole(now), ARGV[i])
      end
      extend(chunk(ARGV[i]), chunk_life(life))
    end
  end
  return absent
end

-- ids of chunks that have just been written
function verbs.stage()
  if call('EXISTS', session) == 0 then
    for i = 2, #ARGV do
      if not shared(ARGV[i]) and (#others() == 0 or not call('ZSCORE', garbage, ARGV[i])) then
        call('UNLINK', chunk(ARGV[i]))
      end
    end
    return {'missing'}
  end
  for i = 2, #ARGV do
    if not holds(session, ARGV[i]) and not shared(ARGV[i]) then
      call('ZADD', garbage, whole(now), ARGV[i])
    end
  end
  local life = chunk_life(keep())
  for i = 2, #ARGV do
    extend(chunk(ARGV[i]), life)
  end
  return {'ok'}
end

-- id and bytes of each chunk that is to go if its bytes are still these
function verbs.discard()
  for i = 2, #ARGV, 2 do
    if call('GET', chunk(ARGV[i])) == ARGV[i + 1] then
      call('UNLINK', chunk(ARGV[i]))
    end
  end
  return {'ok'}
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

-- The key of a fork's own id: where the fork is.

-- home: take the id for the fork that is being made there
function verbs.claim()
  local v = call('HMGET', session, 'owner', 'home')
  if v[1] or (v[2] and v[2] ~= ARGV[2]) then
    return {'exists'}
  end
  call('HSET', session, 'home', ARGV[2])
  call('PEXPIRE', session, CLAIM_MS)
  return {'ok'}
end

-- home: the fork is there now
function verbs.settle()
  return {call('HGET', session, 'home') == ARGV[2] and call('PERSIST', session) and 'ok' or 'exists'}
end

-- home: nothing is there (any more)
function verbs.unclaim()
  if call('HGET', session, 'home') == ARGV[2] then
    call('UNLINK', session)
  end
  return {'ok'}
end
