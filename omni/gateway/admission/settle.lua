-- Replaces a hold by what was really used and appends the usage event, at once. Never charges beyond a hard ceiling:
-- what goes over it is written off, in the event too. Safe to repeat: a request counts once, however often and in which
-- order this comes, and its events are equal; the drain drops the second of two with one id.
-- A hold that the reaper settled is corrected. A hold that Redis lost, or never had, is made up for.
-- KEYS: holds index, holds data, usage stream, reaped, then a key per rate level, per counter level, per money level.
-- ARGV: request id, event up to the amount, rest of the event, nano-units to charge ('' = the event has no amount),
--       nano-units reserved ('' = as much as the hold says), numbers of rate levels, of counters that only the hold
--       counted, of other counters, of money levels; whether it was settled before (0 perhaps, 1 no, 2 no or by this
--       very call, which leaves a mark, 3 it is only to be released, `=` and nano-units: as what); per rate level:
--       interval in µs of one unit, units to charge (may be negative); per other counter: units to add (may be
--       negative; the first counted one unit with the hold),
--       seconds to live; per money level: ceiling, seconds to live (0 = for ever).
-- Returns {1 when the hold was there, else 0; nano-units charged}.
local rates, opens, counters, moneys = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local held = redis.call('ZREM', KEYS[1], ARGV[1])
local reserved, missed, counted, settled = 0, 0, held == 1, false
if held == 0 and ARGV[10] == '3' then return {0, 0} end
if counted then
  reserved = tonumber(ARGV[5])
  if not reserved then
    local charged, delta = string.match(redis.call('HGET', KEYS[2], ARGV[1]), '\n(%d+).*\n%S+ (%-?%d+)$')
    reserved = charged and tonumber(charged) - tonumber(delta) or 0
  end
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  local known = redis.call('HGET', KEYS[4], ARGV[1])
  settled = string.match(known or ARGV[10], '^=(%d+)$')
  if known and not settled then
    reserved, counted = tonumber(known), true
  elseif ARGV[10] == '1' or ARGV[10] == '2' then
    counted = not settled
    missed = counted and 1 or 0
  end
end

local asked = tonumber(ARGV[4] ~= '' and ARGV[4] or 0)
local charge, at = settled and tonumber(settled) or asked, 11
if counted then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  for level = 1, rates do
    local interval, units = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    if units ~= 0 and held == 1 then
      local key = KEYS[4 + level]
      local arrival = math.max(tonumber(redis.call('GET', key) or 0), now) + math.ceil(interval * units)
      if arrival > now then
        redis.call('SET', key, string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
      else
        redis.call('DEL', key)
      end
    end
    at = at + 2
  end
  if held == 1 then
    for level = 1, opens do redis.call('DECR', KEYS[4 + rates + level]) end
  end
  local first = 4 + rates + opens
  for level = 1, counters do
    local units, seconds = tonumber(ARGV[at]) + (level == 1 and missed or 0), ARGV[at + 1]
    if units ~= 0 then
      local key = KEYS[first + level]
      if redis.call('INCRBY', key, units) == units and seconds ~= '0' then
        redis.call('EXPIRE', key, seconds)
      end
    end
    at = at + 2
  end
  first = first + counters
  for level = 1, moneys do
    local room = tonumber(ARGV[at + 2 * level - 2]) - tonumber(redis.call('GET', KEYS[first + level]) or 0) + reserved
    charge = math.max(0, math.min(charge, room))
  end
  for level = 1, moneys do
    local difference, seconds = charge - reserved, ARGV[at + 2 * level - 1]
    if difference ~= 0 then
      local key = KEYS[first + level]
      local units = string.format('%.0f', difference)
      if redis.call('INCRBY', key, units) == difference and seconds ~= '0' then redis.call('EXPIRE', key, seconds) end
    end
  end
  if held == 0 or ARGV[10] == '2' or asked > charge then
    redis.call('HSET', KEYS[4], ARGV[1], '=' .. string.format('%.0f', charge))
    redis.call('EXPIRE', KEYS[4], 86400)
  end
end

local event = ARGV[2]
if ARGV[4] ~= '' then
  event = event .. string.format('%.0f', charge)
  if asked > charge then event = event .. ',"written_off_nanos":' .. string.format('%.0f', asked - charge) end
  event = event .. ARGV[3]
end
redis.call('XADD', KEYS[3], '*', 'e', event)
return {held, charge}
