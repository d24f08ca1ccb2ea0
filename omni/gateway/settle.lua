-- Replaces a hold by what was really used and appends the usage event, at once. Safe to repeat: without the hold it
-- only appends the event again, and the drain drops the second of two with one id.
-- KEYS: holds index, holds data, usage stream, then a key per rate level, then a key per counter level.
-- ARGV: request id, event, number of rate levels, number of counter levels;
--       per rate level: interval in µs of one unit, units to charge; per counter level: units to add (may be negative).
-- Returns 1 when the hold was there, else 0.
local held = redis.call('ZREM', KEYS[1], ARGV[1])
if held == 1 then
  redis.call('HDEL', KEYS[2], ARGV[1])
  local rates, counters, at = tonumber(ARGV[3]), tonumber(ARGV[4]), 5
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  for level = 1, rates do
    local interval, units = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    if units > 0 then
      local key = KEYS[3 + level]
      local arrival = math.max(tonumber(redis.call('GET', key) or 0), now) + math.ceil(interval * units)
      redis.call('SET', key, string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
    end
    at = at + 2
  end
  for level = 1, counters do
    local units = tonumber(ARGV[at])
    if units ~= 0 then
      local key = KEYS[3 + rates + level]
      if redis.call('INCRBY', key, units) == units then redis.call('EXPIRE', key, 3456000) end
    end
    at = at + 1
  end
end
redis.call('XADD', KEYS[3], '*', 'e', ARGV[2])
return held
