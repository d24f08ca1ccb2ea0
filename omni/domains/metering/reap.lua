-- Settles holds whose lease ran out: the gateway that held them is gone.
-- KEYS: holds index, holds data, usage stream. ARGV: how many at most.
-- Returns how many were settled.
local now = redis.call('TIME')
local millis = now[1] * 1000 + math.floor(now[2] / 1000)
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', millis, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(expired) do
  local event = redis.call('HGET', KEYS[2], id)
  if event then
    redis.call('XADD', KEYS[3], '*', 'e', event)
  end
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
return #expired
