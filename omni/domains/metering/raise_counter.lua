-- Raises a counter to a value, if it is below it. KEYS: counter. ARGV: value, seconds to live (0 = for ever).
local present = tonumber(redis.call('GET', KEYS[1]) or '-1')
if present < tonumber(ARGV[1]) then
  if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
  else
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  end
  return 1
end
return 0
