-- Admits a request at every level or at none, by the time of Redis, and holds it under a lease.
-- KEYS: counters-ready, holds index, holds data, then a key per rate level, then a key per counter level.
-- ARGV: request id, lease in ms, what the reaper does when the lease runs out, number of rate levels, number of
--       counter levels; per rate level: interval in µs of one unit, tolerance in µs, units now (0 = look only);
--       per counter level: limit (-1 = none), units reserved now, seconds to live (0 = for ever).
-- Returns {-1}: counters not rebuilt yet; {0, level, retry after µs, reset µs} for a rate that refuses;
--         {0, level, used, 0} for a counter that refuses (levels count from 0, rates first);
--         {1, remaining units and reset µs per rate level, units used per counter level}.
if redis.call('EXISTS', KEYS[1]) == 0 then return {-1} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local rates, counters = tonumber(ARGV[4]), tonumber(ARGV[5])
local reply, arrivals, at = {1}, {}, 6

for level = 1, rates do
  local interval, tolerance, units = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local arrival = math.max(tonumber(redis.call('GET', KEYS[3 + level]) or 0), now)
  local next_arrival = arrival + math.ceil(interval * units)
  local late = next_arrival - tolerance - now
  if late > 0 then return {0, level - 1, late, arrival - now} end
  arrivals[level] = units > 0 and next_arrival or false
  reply[#reply + 1] = math.floor((tolerance - (next_arrival - now)) / interval)
  reply[#reply + 1] = next_arrival - now
  at = at + 3
end

local first_counter = at
for level = 1, counters do
  local limit, units = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local used = tonumber(redis.call('GET', KEYS[3 + rates + level]) or 0)
  if limit >= 0 and (used >= limit or used + units > limit) then return {0, rates + level - 1, used, 0} end
  reply[#reply + 1] = used + units
  at = at + 3
end

for level = 1, rates do
  if arrivals[level] then
    local ms = math.ceil((arrivals[level] - now) / 1000) + 1
    redis.call('SET', KEYS[3 + level], string.format('%.0f', arrivals[level]), 'PX', ms)
  end
end
at = first_counter
for level = 1, counters do
  local units, seconds = ARGV[at + 1], ARGV[at + 2]
  if units ~= '0' then
    local key = KEYS[3 + rates + level]
    if redis.call('INCRBY', key, units) == tonumber(units) and seconds ~= '0' then
      redis.call('EXPIRE', key, seconds)
    end
  end
  at = at + 3
end
redis.call('ZADD', KEYS[2], string.format('%.0f', math.floor(now / 1000) + tonumber(ARGV[2])), ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return reply
