-- Extends the leases of requests that are still being served. A hold that is gone stays gone.
-- KEYS: holds index. ARGV: lease in ms, then request ids. Returns how many were still held.
local time = redis.call('TIME')
local lease_end = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1]))
local held = 0
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], 'XX', lease_end, ARGV[i])
    held = held + 1
  end
end
return held
