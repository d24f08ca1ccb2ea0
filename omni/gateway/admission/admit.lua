-- Admits a request at every level or at none, by the time of Redis, and holds it under a lease.
-- KEYS: counters-ready, holds index, holds data, then a key per rate level, then a key per counter level.
-- ARGV: lease in ms, number of rate levels, number of counter levels; of how many rate levels the reply tells, and from
--       which counter level on (from 1);
--       per rate level: interval in µs of one unit, tolerance in µs, most units at once of a token rate ('' = a rate of
--       requests: one unit each);
--       per counter level: limit (-1 = none), units reserved now ('n' = the nano-units), seconds to live (0 = for ever);
--       then request id, what the reaper does when the lease runs out, nano-units to reserve, tokens to take.
-- Returns {-1}: counters not rebuilt yet; {0, level, retry after µs, reset µs} for a rate that refuses;
--         {0, level, used, 0} for a counter that refuses (levels count from 0, rates first);
--         {1, remaining units and reset µs per rate level, units used per counter level}, of those that it tells of.
local known = redis.call('MGET', KEYS[1], unpack(KEYS, 4))
if not known[1] then return {-1} end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local rates, counters = tonumber(ARGV[2]), tonumber(ARGV[3])
local told_rates, told_from = tonumber(ARGV[4]), tonumber(ARGV[5])
local nanos, tokens = ARGV[#ARGV - 1], tonumber(ARGV[#ARGV])
local reply, arrivals, at = {1}, {}, 6

for level = 1, rates do
  local interval, tolerance, units = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), 1
  if ARGV[at + 2] ~= '' then units = math.min(tokens, tonumber(ARGV[at + 2])) end
  local arrival = math.max(tonumber(known[1 + level] or 0), now)
  local next_arrival = arrival + math.ceil(interval * units)
  local late = next_arrival - tolerance - now
  if late > 0 then return {0, level - 1, late, arrival - now} end
  arrivals[level] = units > 0 and next_arrival or false
  if level <= told_rates then
    reply[#reply + 1] = math.floor((tolerance - (next_arrival - now)) / interval)
    reply[#reply + 1] = next_arrival - now
  end
  at = at + 3
end

local first_counter, taken = at, {}
for level = 1, counters do
  local limit, units = tonumber(ARGV[at]), ARGV[at + 1]
  if units == 'n' then units = nanos end
  local used = tonumber(known[1 + rates + level] or 0)
  local after = used + tonumber(units)
  if limit >= 0 and (used >= limit or after > limit) then return {0, rates + level - 1, used, 0} end
  taken[level] = units
  if level >= told_from then reply[#reply + 1] = after end
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
  local units, seconds = taken[level], ARGV[at + 2]
  if units ~= '0' then
    local key = KEYS[3 + rates + level]
    if redis.call('INCRBY', key, units) == tonumber(units) and seconds ~= '0' then
      redis.call('EXPIRE', key, seconds)
    end
  end
  at = at + 3
end
local id = ARGV[#ARGV - 3]
redis.call('ZADD', KEYS[2], string.format('%.0f', math.floor(now / 1000) + tonumber(ARGV[1])), id)
redis.call('HSET', KEYS[3], id, ARGV[#ARGV - 2])
return reply
