-- Replaces a hold by what was really used and appends the usage event, at once. Never charges beyond a hard ceiling:
-- what goes over it is written off, in the event too. Safe to repeat: a request counts once, however often and in which
-- order this comes, and its events are equal; the drain drops the second of two with one id.
-- A hold that the reaper settled is corrected. A hold that Redis lost, or never had, is made up for.
-- KEYS: holds index, holds data, usage stream, reaped, then a key per rate level, per counter that only the hold
--       counted, per other counter, per money level.
-- ARGV: numbers of rate levels, of counters that only the hold counted, of other counters, of money levels;
--       per rate level: interval in µs of one unit, most units at once; per other counter: seconds to live; per money
--       level: ceiling, seconds to live (0 = for ever);
--       then per other counter: units to add (may be negative; the first counted one unit with the hold); request id,
--       event up to the amount, rest of the event, nano-units to charge ('' = the event has no amount), nano-units
--       reserved ('' = as much as the hold says), whether it was settled before (0 perhaps, 1 no, 2 no or by this very
--       call, which leaves a mark, 3 it is only to be released, `=` and nano-units: as what), tokens used, tokens
--       reserved.
-- Returns {1 when the hold was there, else 0; nano-units charged}.
local rates, opens, counters, moneys = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local id, attempt = ARGV[#ARGV - 7], ARGV[#ARGV - 2]
local held = redis.call('ZREM', KEYS[1], id)
local reserved, missed, counted, settled = 0, 0, held == 1, false
if held == 0 and attempt == '3' then return {0, 0} end
if counted then
  reserved = tonumber(ARGV[#ARGV - 3])
  if not reserved then
    local charged, delta = string.match(redis.call('HGET', KEYS[2], id), '\n(%d+).*\n%S+ (%-?%d+)$')
    reserved = charged and tonumber(charged) - tonumber(delta) or 0
  end
  redis.call('HDEL', KEYS[2], id)
else
  local known = redis.call('HGET', KEYS[4], id)
  settled = string.match(known or attempt, '^=(%d+)$')
  if known and not settled then
    reserved, counted = tonumber(known), true
  elseif attempt == '1' or attempt == '2' then
    counted = not settled
    missed = counted and 1 or 0
  end
end

local amount = ARGV[#ARGV - 4]
local asked = tonumber(amount ~= '' and amount or 0)
local charge, at = settled and tonumber(settled) or asked, 5
if counted then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local known = #KEYS > 4 and redis.call('MGET', unpack(KEYS, 5)) or {}
  for level = 1, rates do
    local interval = tonumber(ARGV[at])
    local units = tonumber(ARGV[#ARGV - 1]) - math.min(tonumber(ARGV[#ARGV]), tonumber(ARGV[at + 1]))
    if units ~= 0 and held == 1 then
      local key = KEYS[4 + level]
      local arrival = math.max(tonumber(known[level] or 0), now) + math.ceil(interval * units)
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
    local units = tonumber(ARGV[#ARGV - 8 - counters + level]) + (level == 1 and missed or 0)
    if units ~= 0 then
      local key, seconds = KEYS[first + level], ARGV[at]
      if redis.call('INCRBY', key, units) == units and seconds ~= '0' then
        redis.call('EXPIRE', key, seconds)
      end
    end
    at = at + 1
  end
  first = first + counters
  for level = 1, moneys do
    local room = tonumber(ARGV[at + 2 * level - 2]) - tonumber(known[first - 4 + level] or 0) + reserved
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
  -- The first sending of what is repeated here may still be on its way: it must find that this one counted.
  if held == 0 or attempt ~= '1' or asked > charge then
    redis.call('HSET', KEYS[4], id, '=' .. string.format('%.0f', charge))
    redis.call('EXPIRE', KEYS[4], 86400)
  end
end

local event = ARGV[#ARGV - 6]
if amount ~= '' then
  event = event .. string.format('%.0f', charge)
  if asked > charge then event = event .. ',"written_off_nanos":' .. string.format('%.0f', asked - charge) end
  event = event .. ARGV[#ARGV - 5]
end
redis.call('XADD', KEYS[3], '*', 'e', event)
return {held, charge}
