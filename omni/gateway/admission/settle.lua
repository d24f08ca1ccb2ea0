-- Replaces a hold by what was really used and appends the usage event, at once. Never charges beyond a hard ceiling:
-- what goes over it is written off, in the event too. Safe to repeat: without the hold it only appends the event again,
-- and the drain drops the second of two with one id. A hold that the reaper settled is corrected; a request that was
-- admitted without Redis is counted once.
-- KEYS: holds index, holds data, usage stream, reaped, then a key per rate level, per counter that only the hold
--       counted, per other counter, per money level.
-- ARGV: numbers of rate levels, of counters that only the hold counted, of other counters, of money levels;
--       per rate level: interval in µs of one unit, most units at once; per other counter: seconds to live; per money
--       level: ceiling, seconds to live (0 = for ever);
--       then request id, event up to the amount, rest of the event, nano-units to charge ('' = the event has no amount),
--       nano-units reserved, 1 when it was admitted without Redis, tokens used, tokens reserved, and per other counter:
--       units to add (may be negative).
-- Returns {1 when the hold was there, else 0; nano-units charged}.
local rates, opens, counters, moneys = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local at = 5
local last = at + 2 * rates + counters + 2 * moneys
local id, units_at = ARGV[last], last + 8
local held = redis.call('ZREM', KEYS[1], id)
local reserved, counted = tonumber(ARGV[last + 4]), held == 1
if counted then
  redis.call('HDEL', KEYS[2], id)
elseif ARGV[last + 5] == '1' then
  counted = redis.call('HSETNX', KEYS[4], id, '0') == 1
  redis.call('EXPIRE', KEYS[4], 86400)
elseif moneys > 0 then
  local charged = redis.call('HGET', KEYS[4], id)
  if charged then
    redis.call('HDEL', KEYS[4], id)
    reserved, counted = tonumber(charged), true
  end
end

local asked = tonumber(ARGV[last + 3] ~= '' and ARGV[last + 3] or 0)
local charge = asked
if counted then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  for level = 1, rates do
    local interval = tonumber(ARGV[at])
    local units = tonumber(ARGV[last + 6]) - math.min(tonumber(ARGV[last + 7]), tonumber(ARGV[at + 1]))
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
    local units, seconds = ARGV[units_at + level - 1], ARGV[at]
    if units ~= '0' then
      local key = KEYS[first + level]
      if redis.call('INCRBY', key, units) == tonumber(units) and seconds ~= '0' then
        redis.call('EXPIRE', key, seconds)
      end
    end
    at = at + 1
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

local event = ARGV[last + 1]
if ARGV[last + 3] ~= '' then
  event = event .. string.format('%.0f', charge)
  if asked > charge then event = event .. ',"written_off_nanos":' .. string.format('%.0f', asked - charge) end
  event = event .. ARGV[last + 2]
end
redis.call('XADD', KEYS[3], '*', 'e', event)
return {held, charge}
