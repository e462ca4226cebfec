
-- Heads that follow each other, and the past that is kept: the second part of `session.lua`.

-- The floor of the kept revisions. (Sessions that were stored before there was a past start theirs here.)
local function floor_of(head)
  local v = call('HMGET', session, 'floor', 'last_activity', 'doc', 'size')
  if not v[1] then
    record_revision(session, head, v[2], '', v[3], v[4])
    call('HSET', session, 'floor', head, 'old_size', '0')
  end
  return tonumber(v[1] or head)
end

-- puts: {name, bytes, ...}; what they and the deletes replace goes to `past`.
local function change_entries(puts, deletes, past)
  local growth, aged = 0, 0
  -- First what a full Redis refuses: it refuses only the first write of a script.
  for i = 1, #puts, 2 do
    local name, data = puts[i], puts[i + 1]
    local old = call('HGET', entries, name)
    call('HSET', entries, name, data)
    call('HSET', past, (old and '=' or '!') .. name, old or '')
    growth = growth + #data
    aged = aged + #(old or '')
  end
  for _, name in ipairs(deletes) do
    local old = call('HGET', entries, name)
    if old then
      call('HDEL', entries, name)
      call('HSET', past, '=' .. name, old)
      aged = aged + #old
    end
  end
  return growth - aged, aged
end

local function change_references(adds, drops, past)
  local growth, aged = 0, 0
  for _, id in ipairs(drops) do
    local size = call('HGET', refs, id)
    if size then
      call('HDEL', refs, id)
      call('HSET', past, '-' .. id, size)
      call('HINCRBY', held, id, 1)
      growth = growth - size
      aged = aged + size
    end
  end
  local life = chunk_life(tonumber(call('HGET', session, 'ttl_ms')))
  for _, id in ipairs(adds) do
    local size = call('STRLEN', chunk(id))
    if call('HSETNX', refs, id, size) == 1 then
      call('HSET', past, '+' .. id, '')
      growth = growth + size
      if call('HEXISTS', held, id) == 1 then
        aged = aged - size
      end
    end
    call('ZREM', garbage, id)
    extend(chunk(id), life)
  end
  call('PEXPIRE', past, whole(life))
  return growth, aged
end

-- Forget the oldest revisions, while there are more than `count` or they hold more than `bound` bytes.
local function trim(floor, head, old_size, count, bound)
  local first = head - math.max(1, tonumber(count)) + 1
  while floor < first or (old_size > tonumber(bound) and floor < head) do
    local past = undo(whole(floor + 1))
    for _, field in ipairs(call('HKEYS', past)) do
      local id = string.sub(field, 2)
      if string.sub(field, 1, 1) == '-' and call('HINCRBY', held, id, -1) <= 0 then
        call('HDEL', held, id)
        if call('HEXISTS', refs, id) == 0 then
          old_size = old_size - call('HGET', past, field)
          if not shared(id) then
            call('ZADD', garbage, whole(now), id)
          end
        end
      end
    end
    local n = whole(floor)
    old_size = old_size - (call('HGET', history, 'old:' .. n) or 0)
    call('UNLINK', past)
    call('HDEL', history, 'at:' .. n, 'run:' .. n, 'doc:' .. n, 'size:' .. n, 'old:' .. n, 'steps:' .. n)
    floor = floor + 1
  end
  call('HSET', session, 'floor', whole(floor), 'old_size', whole(old_size))
end

-- step: puts, deletes, adds, drops; token, at, doc, run (or ''), count, bound. Returns the new head.
local function advance(head, step)
  local floor, size = floor_of(head), call('HGET', session, 'size')
  local old_size = tonumber(call('HGET', session, 'old_size'))
  local revision = whole(head + 1)
  local past = undo(revision)
  local growth, aged = change_entries(step.puts, step.deletes, past)
  local chunks_growth, chunks_aged = change_references(step.adds, step.drops, past)
  size = whole(size + growth + chunks_growth)
  call('HSET', session, 'revision', revision, 'token', step.token, 'last_activity', step.at, 'doc', step.doc,
    'size', size, 'names', call('HLEN', entries))
  call('HSET', history, 'old:' .. head, whole(aged), 'steps:' .. revision, call('HLEN', past))
  record_revision(session, revision, step.at, step.run, step.doc, size)
  trim(floor, tonumber(revision), old_size + aged + chunks_aged, step.count, step.bound)
  return revision
end

-- Members first..first + count - 1 of ARGV.
local function listed(first, count)
  local found = {}
  for i = first, first + count - 1 do
    found[#found + 1] = ARGV[i]
  end
  return found
end

-- holder, epoch, parent, token, last_activity, doc, run_id (or ''), run record, revisions and bytes of the past
-- to keep, how many to put, to delete and to add; then name and bytes of each put, names to delete, chunk ids to
-- add, chunk ids to drop
function verbs.commit()
  local v = call('HMGET', session, 'revision', 'token', 'lease_ms')
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
  local puts, deletes, adds = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
  local first_delete = 15 + 2 * puts
  local first_add = first_delete + deletes
  local added, gone = listed(first_add, adds), {'gone'}
  for _, id in ipairs(added) do
    if call('EXISTS', chunk(id)) == 0 then
      gone[#gone + 1] = id
    end
  end
  if #gone > 1 then
    return gone
  end
  local revision = advance(v[1], {
    puts = listed(15, 2 * puts), deletes = listed(first_delete, deletes), adds = added,
    drops = listed(first_add + adds, #ARGV - first_add - adds + 1),
    token = ARGV[5], at = ARGV[6], doc = ARGV[7], run = ARGV[8], count = ARGV[10], bound = ARGV[11],
  })
  if ARGV[8] ~= '' then
    remember(ARGV[8], ARGV[9])
  end
  grant(v[3])
  keep()
  return {'ok', revision}
end

-- Why `revision` cannot be gone to, if it cannot; else what differs there from the head: name -> bytes or
-- false, chunk id -> size or false.
local function difference(revision, head)
  local floor = floor_of(head)
  if revision < floor or revision > tonumber(head) then
    return {'trimmed', whole(floor), head}
  end
  local names, ids = {}, {}
  for n = tonumber(head), revision + 1, -1 do
    local back = call('HGETALL', undo(whole(n)))
    if #back ~= 2 * (call('HGET', history, 'steps:' .. whole(n)) or 0) then
      return {'evicted'}
    end
    for i = 1, #back, 2 do
      local kind, what = string.sub(back[i], 1, 1), string.sub(back[i], 2)
      if kind == '=' then
        names[what] = back[i + 1]
      elseif kind == '!' then
        names[what] = false
      else
        ids[what] = kind == '-' and back[i + 1]
      end
    end
  end
  return nil, names, ids
end

-- holder, epoch, revision to go to ('': to nothing), token, last_activity, doc, revisions and bytes to keep
function verbs.move()
  local v = call('HMGET', session, 'revision', 'token')
  if v[1] and v[2] == ARGV[5] then
    return {'ok', v[1]}
  end
  local refusal = refused()
  if refusal then
    return refusal
  end
  local puts, deletes, adds, drops = {}, {}, {}, {}
  if ARGV[4] == '' then
    deletes, drops = call('HKEYS', entries), call('HKEYS', refs)
  else
    local problem, names, ids = difference(tonumber(ARGV[4]), v[1])
    if problem then
      return problem
    end
    for name, data in pairs(names) do
      if data then
        puts[#puts + 1] = name
        puts[#puts + 1] = data
      else
        deletes[#deletes + 1] = name
      end
    end
    for id, size in pairs(ids) do
      local list = size and adds or drops
      list[#list + 1] = id
    end
  end
  local revision = advance(v[1], {
    puts = puts, deletes = deletes, adds = adds, drops = drops,
    token = ARGV[5], at = ARGV[6], doc = ARGV[7], run = '', count = ARGV[8], bound = ARGV[9],
  })
  keep()
  return {'ok', revision}
end

-- home of the fork, revision to start at ('': the head), then as for create
function verbs.fork()
  local home = ARGV[2]
  local v = call('HMGET', session, 'revision', 'names')
  if not v[1] then
    return {'missing'}
  end
  if call('EXISTS', home) == 1 then
    return {'ok'}
  end
  local start = ARGV[3] ~= '' and ARGV[3] or v[1]
  local problem, names, ids = difference(tonumber(start), v[1])
  if problem or call('HLEN', entries) ~= tonumber(v[2]) then
    return problem or {'evicted'}
  end
  for part, changes in pairs({[':entries'] = names, [':refs'] = ids}) do
    local flat = call('HGETALL', session .. part)
    for i = 1, #flat, 2 do
      if changes[flat[i]] == nil then
        changes[flat[i]] = flat[i + 1]
      end
    end
    for what, value in pairs(changes) do
      if value then
        call('HSET', home .. part, what, value)
      end
    end
  end
  call('SADD', members, session, home)
  living = {home}
  establish(home, 4, start, call('HGET', history, 'size:' .. start), call('HLEN', home .. ':entries'))
  return {'ok'}
end

-- number, at, run id, doc, size and bytes held alone of each kept revision, the head first
function verbs.revisions()
  local head = call('HGET', session, 'revision')
  if not head then
    return {'missing'}
  end
  local found, seen, alone = {'ok'}, {}, 0
  for n = tonumber(head), floor_of(head), -1 do
    local r = whole(n)
    local v = call('HMGET', history, 'at:' .. r, 'run:' .. r, 'doc:' .. r, 'size:' .. r, 'old:' .. r)
    for _, value in ipairs({r, v[1], v[2], v[3], v[4], whole(alone + (v[5] or 0))}) do
      found[#found + 1] = value
    end
    alone = 0
    local past = undo(r)
    for _, field in ipairs(call('HKEYS', past)) do
      local id = string.sub(field, 2)
      if string.sub(field, 1, 1) == '-' and not seen[id] then
        seen[id] = true
        if call('HEXISTS', refs, id) == 0 then
          alone = alone + call('HGET', past, field)
        end
      end
    end
  end
  return found
end

local home = call('HGET', session, 'home')
if home and verb ~= 'claim' and verb ~= 'settle' and verb ~= 'unclaim' then
  return {'moved', home}
end
return verbs[verb]()
