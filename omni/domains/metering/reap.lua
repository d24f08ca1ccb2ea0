-- Settles holds whose lease ran out: the gateway that held them is gone.
-- KEYS: holds index, holds data, usage stream, reaped. ARGV: how many at most.
-- What a hold stands for is in its data: the event, the nano-units charged in it, and a correction per counter.
-- Returns how many were settled.
local now = redis.call('TIME')
local millis = now[1] * 1000 + math.floor(now[2] / 1000)
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', millis, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(expired) do
  local data = redis.call('HGET', KEYS[2], id)
  if data then
    local event, charged = string.match(data, '^([^\n]*)\n([^\n]*)')
    redis.call('XADD', KEYS[3], '*', 'e', event or data)
    for key, delta in string.gmatch(data, '\n(%S+) (%-?%d+)') do redis.call('INCRBY', key, delta) end
    if charged and charged ~= '' then
      redis.call('HSET', KEYS[4], id, charged)
      redis.call('EXPIRE', KEYS[4], 86400)
    end
  end
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
return #expired
