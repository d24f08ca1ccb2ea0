-- Ends the fetching of a request: gives the lock back and stores the entry, within the tenant's share of memory.
-- KEYS: generation, prefix.
-- ARGV: digest, lock token, generation at look-up, entry (empty = none), milliseconds to keep it, most bytes, most
-- entries, name of the list of vectors (empty = none), vector, most vectors.
-- The index has `<digest>:<bytes>:<list of vectors>` by the time at which the entry ends: what ends first goes first.
local prefix, digest, generation, entry = KEYS[2], ARGV[1], ARGV[3], ARGV[4]
local lock = prefix .. 'lock:' .. digest
if redis.call('GET', lock) == ARGV[2] then
  redis.call('DEL', lock)
end
if entry == '' or (redis.call('GET', KEYS[1]) or '0') ~= generation then
  return 0
end
local TWO_DAYS = 172800000
local here = prefix .. generation .. ':'
local index, total = here .. 'index', here .. 'bytes'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local used = tonumber(redis.call('GET', total) or '0')
local function forget(member)
  local which, bytes, near = string.match(member, '^(%x+):(%d+):(%x*)$')
  redis.call('UNLINK', here .. which)
  if near ~= '' then
    redis.call('LTRIM', here .. 'near:' .. near, 0, -2)
  end
  used = used - tonumber(bytes)
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', index, member)
  forget(member)
end
local size = #entry + #ARGV[9]
local member = digest .. ':' .. size .. ':' .. ARGV[8]
if redis.call('ZREM', index, member) == 1 then
  used = used - size
end
while used + size > tonumber(ARGV[6]) or redis.call('ZCARD', index) >= tonumber(ARGV[7]) do
  local oldest = redis.call('ZPOPMIN', index)
  if #oldest == 0 then
    used = 0
    break
  end
  forget(oldest[1])
end
redis.call('SET', here .. digest, entry, 'PX', ARGV[5])
redis.call('ZADD', index, string.format('%.0f', now + tonumber(ARGV[5])), member)
redis.call('PEXPIRE', index, TWO_DAYS)
redis.call('SET', total, used + size, 'PX', TWO_DAYS)
if ARGV[8] ~= '' then
  local near = here .. 'near:' .. ARGV[8]
  redis.call('LPUSH', near, ARGV[9])
  redis.call('LTRIM', near, 0, ARGV[10] - 1)
  redis.call('PEXPIRE', near, ARGV[5])
end
return 1
