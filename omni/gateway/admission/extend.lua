-- Renews the lease of a request that makes progress: what the reaper would do now, and a larger reservation.
-- KEYS: holds index, holds data, then a key per money level.
-- ARGV: lease in ms, then a ceiling per money level; then request id, what the reaper does now, nano-units to reserve
--       besides ('' = what the hold lacks), nano-units reserved then in all.
-- Returns 1; 0 when a ceiling does not allow the larger reservation (nothing is changed); -1 when the hold is gone.
local id = ARGV[#ARGV - 3]
if not redis.call('ZSCORE', KEYS[1], id) then return -1 end
local more = tonumber(ARGV[#ARGV - 1])
if not more then
  local charged, delta = string.match(redis.call('HGET', KEYS[2], id), '\n(%d+).*\n%S+ (%-?%d+)$')
  more = tonumber(ARGV[#ARGV]) - (tonumber(charged) - tonumber(delta))
end
if more > 0 then
  for level = 3, #KEYS do
    if tonumber(redis.call('GET', KEYS[level]) or 0) + more > tonumber(ARGV[level - 1]) then return 0 end
  end
end
if more ~= 0 then
  for level = 3, #KEYS do redis.call('INCRBY', KEYS[level], string.format('%.0f', more)) end
end
local time = redis.call('TIME')
local lease_end = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1]))
redis.call('ZADD', KEYS[1], 'XX', lease_end, id)
redis.call('HSET', KEYS[2], id, ARGV[#ARGV - 2])
return 1
