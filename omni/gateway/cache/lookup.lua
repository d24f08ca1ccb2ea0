-- The entry of a request, else a lock on fetching it.
-- KEYS: generation, prefix. ARGV: digest, lock token (empty = no lock), lock milliseconds.
-- Returns the generation, the entry or nil, and whether the lock was taken.
local generation = redis.call('GET', KEYS[1]) or '0'
local entry = redis.call('GET', KEYS[2] .. generation .. ':' .. ARGV[1])
if entry or ARGV[2] == '' then
  return {generation, entry, 0}
end
local locked = redis.call('SET', KEYS[2] .. 'lock:' .. ARGV[1], ARGV[2], 'NX', 'PX', ARGV[3])
return {generation, false, locked and 1 or 0}
