-- The book that many processes share, in one step each. KEYS: 1 what holds for the whole app, 2 the pool, 3 its log of
-- made calls, 4 calls under way, 5 their order. ARGV: 1 the step, 2 window in ms, 3 a time that stands in for the
-- server's (tests; else ""), 4 latest time that can be ("" unknown), 5 how far beyond it is a step of the clock, 6 the book's name as
-- the caller knows it ("" none), 7 a name for a new one; then what the step needs. pool.ts, gate.ts and allowance.ts say the same.
local app, pool, logKey, flightKey, orderKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local step, windowMs = ARGV[1], tonumber(ARGV[2])
local huge = math.huge
-- rules
local liveReserveShare, liveReserveRoots, learnedShare, throttledShare, throttledWindows = 0.05, 2, 0.995, 0.98, 5
local freeShare, paceLagShare, paceLagCallsMin, paceLumpShare = 0.1, 1 / 50, 2, 1 / 2
local paceRequestsMin, paceLagRequests = 2, 1.25
local laneWaitShare, laneWaitMsMax = 1 / 100, 2000
local slownessFade, firstAloneMs = 1 / 1000, 2000
local feelShare, feelShareAt98, feelShareAt99, pollShare = 1 / 36, 1 / 10, 1, 1 / 360
local feelPercentLive, feelPercentShared, usagePercentVague, usagePercentMax, pollMsMax = 97, 93, 10, 100, 100
local flightShare, flightMsMin, flightMsMax, bucketsPerWindow = 1 / 10, 10000, 60000, 1000
local firstPauseShare, longestPauseShare, namedPauseMsMax, jitterShare = 1 / 4, 2, 86400000, 0.1
local probeLeaseShare, probePollShare = 1 / 20, 1 / 360

local function text(value) return string.format('%.17g', value) end
local function get(key, name) return tonumber(redis.call('HGET', key, name) or '') end
local function set(key, name, value) redis.call('HSET', key, name, text(value)) end

-- The name of the book: another one than the caller knew means that what it held is lost.
local epoch = redis.call('HGET', app, 'epoch')
if not epoch then
  epoch = ARGV[7]
  redis.call('HSET', app, 'epoch', epoch)
end

-- Time: the server's, but never back, and never further ahead than the caller's own watch allows.
local raw
if ARGV[3] ~= '' then
  raw = tonumber(ARGV[3])
else
  local time = redis.call('TIME')
  raw = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local offset, last = get(app, 'offset') or 0, get(app, 'last')
local now = raw + offset
local latest = tonumber(ARGV[4])
if latest and ARGV[6] == epoch and now > latest + tonumber(ARGV[5]) then now = latest end
if last and now < last then
  now = last
  -- A proven step back: time has passed all the same.
  if latest and ARGV[6] == epoch and latest > last then now = latest end
end
set(app, 'offset', now - raw)
set(app, 'last', now)
if ARGV[6] ~= epoch and ARGV[6] ~= '' and step ~= 'remember' then return { 'lost', epoch, text(now) } end

local state = {}
local flat = redis.call('HGETALL', pool)
for at = 1, #flat, 2 do state[flat[at]] = tonumber(flat[at + 1]) or flat[at + 1] end
local function n(name) return state[name] or 0 end
local changed = {}
local function put(name, value)
  state[name] = value
  changed[name] = true
end

-- The log: "last calls shared" a bucket, oldest first.
local function readEntry(entry)
  local at, calls, shared = string.match(entry, '^(%S+) (%S+) (%S+)$')
  return tonumber(at), tonumber(calls), tonumber(shared)
end
local function addLog(at, calls, shared)
  local tail = redis.call('LINDEX', logKey, -1)
  local bucketMs = windowMs / bucketsPerWindow
  put('calls', n('calls') + calls)
  put('shared', n('shared') + shared)
  put('landed', n('landed') + calls)
  if tail then
    local tailAt, tailCalls, tailShared = readEntry(tail)
    if math.floor(tailAt / bucketMs) == math.floor(at / bucketMs) then
      redis.call('LSET', logKey, -1, text(at) .. ' ' .. text(tailCalls + calls) .. ' ' .. text(tailShared + shared))
      return
    end
  end
  redis.call('RPUSH', logKey, text(at) .. ' ' .. text(calls) .. ' ' .. text(shared))
end
local function land(id)
  local flight = redis.call('HGET', flightKey, id)
  if not flight then return nil end
  redis.call('HDEL', flightKey, id)
  local at, calls, shared, landed = string.match(flight, '^(%S+) (%S+) (%S+) (%S+)$')
  flight = { at = tonumber(at), calls = tonumber(calls), shared = tonumber(shared), landed = tonumber(landed) }
  put('flying', n('flying') - flight.calls)
  put('flyingShared', n('flyingShared') - flight.shared)
  return flight
end
local function count()
  if now >= (state.learnedUntil or huge) then
    put('learned', huge)
    put('learnedUntil', nil)
  end
  local flightMs = math.max(flightMsMin, math.min(flightMsMax, windowMs * flightShare))
  while true do
    local id = redis.call('LINDEX', orderKey, 0)
    if not id then break end
    local flight = redis.call('HGET', flightKey, id)
    if flight and now - tonumber(string.match(flight, '^(%S+)')) < flightMs then break end
    redis.call('LPOP', orderKey)
    if flight then
      local landed = land(id)
      addLog(now, landed.calls, landed.shared)
    end
  end
  while true do
    local head = redis.call('LINDEX', logKey, 0)
    if not head then break end
    local at, calls, shared = readEntry(head)
    if now - at <= windowMs then break end
    redis.call('LPOP', logKey)
    put('calls', n('calls') - calls)
    put('shared', n('shared') - shared)
  end
  return n('calls') + n('flying'), n('shared') + n('flyingShared')
end
local function untilLess(sharedOnly)
  for at = 0, bucketsPerWindow + 2 do
    local entry = redis.call('LINDEX', logKey, at)
    if not entry then return 0 end
    local lastAt, _, shared = readEntry(entry)
    if not sharedOnly or shared > 0 then return math.max(1, math.ceil(lastAt + windowMs - now + 1)) end
  end
  return 0
end
local function countUntil(untilMs)
  local sum, at = 0, 0
  while true do
    local entry = redis.call('LINDEX', logKey, at)
    if not entry then return sum end
    local lastAt, calls = readEntry(entry)
    if lastAt > untilMs then return sum end
    sum = sum + calls
    at = at + 1
  end
end

-- Gates: the app's and the pool's.
local function gateOf(key) return { key = key, stops = get(key, 'stops') or 0, untilMs = get(key, 'until'),
  holder = redis.call('HGET', key, 'holder') or '', endsAt = get(key, 'ends') or 0 } end
local function saveGate(gate)
  if gate.untilMs then
    redis.call('HSET', gate.key, 'stops', text(gate.stops), 'until', text(gate.untilMs), 'holder', gate.holder, 'ends', text(gate.endsAt))
  else
    redis.call('HDEL', gate.key, 'stops', 'until', 'holder', 'ends')
  end
end
local appGate, ownGate = gateOf(app), gateOf(pool)
local function passesOf(gate)
  if not gate.untilMs then return huge, 0 end
  if now < gate.untilMs then return 0, math.ceil(gate.untilMs - now) end
  local pollMs = math.ceil(windowMs * probePollShare)
  if gate.holder ~= '' and now < gate.endsAt then return 0, pollMs end
  return 1, pollMs
end
local function pass(gate, id)
  if not gate.untilMs then return end
  gate.holder, gate.endsAt = id, now + windowMs * probeLeaseShare
  saveGate(gate)
end
local function stop(gate, namedMs, chance)
  local stretch = 1 + jitterShare * chance
  local named = math.min(namedMs, namedPauseMsMax) * stretch
  if gate.untilMs and now < gate.untilMs then
    gate.untilMs = math.max(gate.untilMs, now + named)
  else
    local own = math.min(windowMs * firstPauseShare * 2 ^ gate.stops, windowMs * longestPauseShare) * stretch
    gate.stops = math.min(gate.stops + 1, 30)
    gate.untilMs = now + math.max(named, own)
  end
  gate.holder = ''
  saveGate(gate)
  return math.ceil(gate.untilMs - now)
end
local function succeed(gate, id)
  if gate.holder ~= id then return end
  gate.untilMs = nil
  saveGate(gate)
end
local function forgetProbe(gate, id)
  if gate.holder ~= id then return end
  gate.holder = ''
  saveGate(gate)
end
local function shutFor(gate) return gate.untilMs and math.max(0, math.ceil(gate.untilMs - now)) or 0 end

local function allowanceOf(ceiling, learned, share)
  local function part(known) return math.max(1, math.floor(math.min(ceiling, known) / share)) end
  local known = learned or huge
  return part(math.floor(known)), part(math.floor(known * learnedShare))
end
local function restOf(whole, usable, live)
  local demand = live + math.ceil(liveReserveRoots * math.sqrt(live))
  return math.max(1, math.min(whole - math.ceil(whole * liveReserveShare), usable - demand))
end

local function fillRequests(open, calls, perRequest)
  if open >= calls then return open end
  return open - math.fmod(open, perRequest)
end

local function finish(...)
  local used = count()
  for name in pairs(changed) do
    if state[name] == nil then redis.call('HDEL', pool, name) else set(pool, name, state[name]) end
  end
  -- A pool that nobody uses goes: beyond every window and every pause.
  local keepMs = math.floor(4 * windowMs + 2 * namedPauseMsMax)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, keepMs) end
  local learned = state.learned and text(state.learned) or ''
  return { 'ok', epoch, text(now), text(used), state.percent and text(state.percent) or '', learned,
    text(shutFor(ownGate)), text(shutFor(appGate)), ... }
end

if step == 'take' then
  local lane, calls, id = ARGV[8], tonumber(ARGV[9]), ARGV[10]
  local ceilingGiven, share, apart = tonumber(ARGV[11]) or huge, tonumber(ARGV[12]), tonumber(ARGV[13])
  local perRequest, firstCalls = tonumber(ARGV[14]), tonumber(ARGV[15])
  local appPasses, appResume = passesOf(appGate)
  local ownPasses, ownResume = passesOf(ownGate)
  if appPasses == 0 or ownPasses == 0 then
    return finish('0', text(math.max(appPasses == 0 and appResume or 0, ownPasses == 0 and ownResume or 0)))
  end
  local used, usedShared = count()
  local learned = state.learned
  local whole, allowance = allowanceOf(ceilingGiven, learned, share)
  local _, ceiling = allowanceOf(ceilingGiven, nil, share)
  local pollMs = math.max(1, math.min(pollMsMax, windowMs * pollShare))
  local left, free, spacing, lump, fills, paceFrom = huge, huge, 0, 0, false, 0
  local limited = lane ~= 'live' and allowance < huge
  if limited then
    local rest = restOf(whole, allowance, used - usedShared)
    spacing = windowMs / rest
    local short = math.max(windowMs * paceLagShare, paceLagCallsMin * spacing)
    fills = rest >= paceRequestsMin * perRequest
    local lag = math.max(short, fills and paceLagRequests * perRequest * spacing or 0)
    paceFrom = math.max(state.paceAt or -huge, now - lag)
    left = rest + math.floor(rest * (1 / bucketsPerWindow + n('slowness') / windowMs)) - usedShared
    free = math.max(0, math.floor(rest * freeShare) - usedShared)
    lump = math.min(calls, math.max(math.floor(short * paceLumpShare / spacing), fills and perRequest or 1))
  end
  local passes = math.min(appPasses, ownPasses)
  local isNew = now - (state.bornAt or now) < windowMs
  local at, pause = state.percent or usagePercentMax, 0
  if at >= (lane == 'live' and feelPercentLive or feelPercentShared) then
    pause = windowMs * (at < 98 and feelShare or at < 99 and feelShareAt98 or feelShareAt99)
  end
  local isVague = (state.learned or 0) < huge and used < ceiling and pause == 0
    and (lane == 'live' or isNew or at < usagePercentVague)
  local function roomWithin()
    if not learned and n('flying') > 0 and now - n('grantedAt') < firstAloneMs then return 0, pollMs end
    local leaves = untilLess(false)
    local open = allowance - used
    local resume = leaves > 0 and leaves or pollMs
    local full = open <= 0
    if limited then
      local paced = math.floor((now - paceFrom) / spacing + 1e-6)
      local ready = math.max(free, paced, isVague and perRequest > 1 and perRequest or 0)
      if left <= 0 and open > 0 then
        resume = math.max(1, untilLess(true))
      elseif left > 0 and open > 0 and ready < calls then
        resume = math.max(1, math.ceil(paceFrom + lump * spacing - now))
      end
      full = full or left <= 0 or (ready <= 0 and isNew)
      local due = fills and fillRequests(ready, calls, perRequest) or ready
      open = math.min(open, left, due < lump and 0 or due)
      local waits = state.waitlive or -huge
      if lane == 'backfill' then waits = math.max(waits, state.waitrefresh or -huge) end
      if now < waits then return 0, math.max(1, math.ceil(math.min(resume, waits - now))) end
    end
    if not learned then return math.min(firstCalls, open), pollMs end
    if isVague then resume = math.min(resume, pollMs) end
    if full and learned < huge and used < ceiling then
      local restMs = passes == 1 and 0 or (state.toldAt or -huge) + pause - now
      if n('flying') == 0 and restMs <= 0 then return 1, resume end
      resume = math.min(resume, math.ceil(math.max(windowMs * pollShare, restMs)))
    end
    return math.max(0, open), resume
  end
  local open, roomResume
  local nextAt = state.nextAt or -huge
  if now < nextAt then
    open, roomResume = 0, math.ceil(nextAt - now)
  else
    open, roomResume = roomWithin()
    if apart > 0 and open > 1 then open, roomResume = 1, math.ceil(apart) end
  end
  local granted = math.min(calls, open, passes)
  local resume = 0
  if granted < calls then
    resume = math.max(1, (granted > 0 and passes == 1) and math.max(appResume, ownResume) or roomResume)
  end
  if lane ~= 'backfill' then
    put('wait' .. lane, granted < calls and now + resume + math.min(laneWaitMsMax, windowMs * laneWaitShare) or nil)
  end
  if granted > 0 then
    if limited and not (perRequest > 1 and isVague) then
      put('paceAt', free > 0 and now + math.max(0, granted - free) * spacing or paceFrom + granted * spacing)
    end
    if apart > 0 then put('nextAt', now + apart) end
    put('grantedAt', now)
    if not state.bornAt then put('bornAt', now) end
    local shared = lane == 'live' and 0 or granted
    redis.call('HSET', flightKey, id, text(now) .. ' ' .. text(granted) .. ' ' .. text(shared) .. ' ' .. text(n('landed')))
    redis.call('RPUSH', orderKey, id)
    put('flying', n('flying') + granted)
    put('flyingShared', n('flyingShared') + shared)
    pass(appGate, id)
    pass(ownGate, id)
  end
  return finish(text(granted), text(resume))
end

if step == 'settle' then
  local id, lane, made = ARGV[8], ARGV[9], tonumber(ARGV[10])
  local percent, regain = tonumber(ARGV[11]), tonumber(ARGV[12])
  local scope, named, chance = ARGV[13], tonumber(ARGV[14]) or 0, tonumber(ARGV[15])
  count()
  local flight = land(id)
  put('slowness', math.max(flight and now - flight.at or 0, n('slowness') * (1 - slownessFade)))
  local leaving = countUntil(now - windowMs + n('slowness') + windowMs / bucketsPerWindow)
  local before = flight and flight.landed - (n('landed') - n('calls')) - leaving or 0
  if now > (state.doubtUntil or -huge) then put('doubt', 0) end
  local sure = math.max(0, before - n('doubt')) + ((scope == '' and flight) and made or 0)
  if scope ~= '' then
    put('doubt', n('doubt') + made)
    put('doubtUntil', now + windowMs)
  end
  if made > 0 then addLog(now, made, lane == 'live' and 0 or made) end
  local all = n('calls') + n('flying')
  if percent and (percent > 0 or not regain) then
    put('percent', percent)
    put('toldAt', now)
    put('learnedUntil', nil)
    if flight and (made > 0 or scope ~= '') then
      local low = math.max(1, 100 * sure / (percent + 1))
      local high = percent < 1 and huge or 100 * all / (percent - 0.5)
      local learned = state.learned
      if not learned or scope ~= '' or learned == huge or learned < low or learned > high then put('learned', low) end
    end
  elseif scope ~= '' then
    if scope == 'account' and flight then
      put('learned', math.min(state.learned or huge, math.max(1, sure * throttledShare)))
      put('toldAt', now)
      put('learnedUntil', now + throttledWindows * windowMs)
    end
  elseif made > 0 and not state.learned then
    put('learned', huge)
  end
  local pause = ''
  if scope ~= '' then
    local shut, other = ownGate, appGate
    if scope == 'app' then shut, other = appGate, ownGate end
    forgetProbe(other, id)
    pause = text(stop(shut, math.max(named, regain or 0), chance))
  elseif made == 0 then
    forgetProbe(ownGate, id)
    forgetProbe(appGate, id)
  else
    succeed(appGate, id)
    if percent and (percent >= usagePercentMax or regain) then
      stop(ownGate, regain or 0, chance)
    else
      succeed(ownGate, id)
    end
  end
  return finish(pause)
end

if step == 'log' then
  count()
  local list = redis.call('LRANGE', logKey, 0, -1)
  if n('flying') > 0 then list[#list + 1] = text(now) .. ' ' .. text(n('flying')) .. ' ' .. text(n('flyingShared')) end
  return finish(unpack(list))
end

if step == 'remember' then
  count()
  local entries = {}
  for _, entry in ipairs(redis.call('LRANGE', logKey, 0, -1)) do
    local at, calls, shared = readEntry(entry)
    entries[#entries + 1] = { at, calls, shared }
  end
  -- Of those who saw the book that was lost, the first one's word stands; what each did without it is added.
  local from = 13
  if state.told then from = from + 3 * tonumber(ARGV[12]) end
  if tonumber(ARGV[12]) > 0 then put('told', 1) end
  for at = from, #ARGV, 3 do
    local age, calls, shared = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    if age <= windowMs then
      entries[#entries + 1] = { now - math.max(0, age), calls, shared }
      put('calls', n('calls') + calls)
      put('shared', n('shared') + shared)
      put('landed', n('landed') + calls)
    end
  end
  table.sort(entries, function(one, other) return one[1] < other[1] end)
  redis.call('DEL', logKey)
  -- Two books of the same time make one: no more buckets than the window has.
  local kept
  local bucketMs = windowMs / bucketsPerWindow
  local function push()
    if kept then redis.call('RPUSH', logKey, text(kept[1]) .. ' ' .. text(kept[2]) .. ' ' .. text(kept[3])) end
  end
  for _, entry in ipairs(entries) do
    if kept and math.floor(kept[1] / bucketMs) == math.floor(entry[1] / bucketMs) then
      kept = { entry[1], kept[2] + entry[2], kept[3] + entry[3] }
    else
      push()
      kept = entry
    end
  end
  push()
  local learned, percent = tonumber(ARGV[8]), tonumber(ARGV[9])
  if not state.learned and learned then put('learned', learned) end
  if not state.percent and percent then put('percent', percent) end
  for at, gate in ipairs({ ownGate, appGate }) do
    local shutMs = tonumber(ARGV[9 + at])
    if shutMs > 0 then
      gate.untilMs = math.max(gate.untilMs or 0, now + shutMs)
      saveGate(gate)
    end
  end
  return finish()
end

return finish()
