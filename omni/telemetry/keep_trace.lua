-- Keeps one process's part of a trace. Bounded: so many traces, each of so many parts, for so long.
-- KEYS: index (sorted set: trace id -> end, Unix ms), the trace (hash: root span id -> part)
-- ARGV: trace id, root span id, part, end in ms, seconds to keep, most traces, most parts, prefix of traces' keys
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[7]) then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[5])
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', newest[2] - ARGV[5] * 1000))
local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[6])
if surplus > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[1], surplus)
  for place = 1, #oldest, 2 do
    redis.call('DEL', ARGV[8] .. oldest[place])
  end
end
return 1
