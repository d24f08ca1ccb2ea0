-- Replaces a hold by what was really used and appends the usage event, at once. Never charges beyond a hard ceiling:
-- what goes over it is written off, in the event too. Safe to repeat: without the hold it only appends the event again,
-- and the drain drops the second of two with one id. A hold that the reaper settled is corrected; a request that was
-- admitted without Redis is counted once.
-- KEYS: holds index, holds data, usage stream, reaped, then a key per rate level, per counter level, per money level.
-- ARGV: request id, event up to the amount, rest of the event, nano-units to charge ('' = the event has no amount),
--       nano-units reserved, numbers of rate levels, of counters that only the hold counted, of other counters, of money
--       levels, 1 when it was admitted without Redis; per rate level: interval in µs of one unit, units to charge (may be negative); per other counter: units
--       to add (may be negative), seconds to live; per money level: ceiling, seconds to live (0 = for ever).
-- Returns {1 when the hold was there, else 0; nano-units charged}.
local rates, opens, counters, moneys = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local held = redis.call('ZREM', KEYS[1], ARGV[1])
local reserved, counted = tonumber(ARGV[5]), held == 1
if counted then
  redis.call('HDEL', KEYS[2], ARGV[1])
elseif ARGV[10] == '1' then
  counted = redis.call('HSETNX', KEYS[4], ARGV[1], '0') == 1
  redis.call('EXPIRE', KEYS[4], 86400)
elseif moneys > 0 then
  local charged = redis.call('HGET', KEYS[4], ARGV[1])
  if charged then
    redis.call('HDEL', KEYS[4], ARGV[1])
    reserved, counted = tonumber(charged), true
  end
end

local asked = tonumber(ARGV[4] ~= '' and ARGV[4] or 0)
local charge, at = asked, 11
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
    local units, seconds = ARGV[at], ARGV[at + 1]
    if units ~= '0' then
      local key = KEYS[first + level]
      if redis.call('INCRBY', key, units) == tonumber(units) and seconds ~= '0' then
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
end

local event = ARGV[2]
if ARGV[4] ~= '' then
  event = event .. string.format('%.0f', charge)
  if asked > charge then event = event .. ',"written_off_nanos":' .. string.format('%.0f', asked - charge) end
  event = event .. ARGV[3]
end
redis.call('XADD', KEYS[3], '*', 'e', event)
return {held, charge}
