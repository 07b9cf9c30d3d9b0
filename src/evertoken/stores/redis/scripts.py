"""
What Redis runs in one step. A script reads and writes the keys that it is given, all of one slot, and nothing else.

`now` is Redis's own clock, read in the script and returned, unless a test says what time it is. Keys expire by
themselves: PX counts from that `now`, and goes to replicas and into the file as an instant.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.lines import FOLD_AFTER

Command = tuple[bytes | str | int, ...]


class Script:
    """A script, to be called by its digest."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def on(self, keys: Sequence[bytes], *arguments: bytes | str | int) -> Command:
        """The command that runs it on these keys."""
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


_CLOCK = """
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local told = struct.pack('>i6', now)
"""

ROTATE = Script(
    """
local tag, parent, generation, issued, secret, epoch, flags, now, maturity, idle =
  struct.unpack('>c16c16I4i6c4c8Bi6i6i6', ARGV[1])
"""
    + _CLOCK
    + r"""
local v = redis.call('GET', KEYS[1])
if not v then return '\0' .. told end
local reason, kind, c, p, g, advanced, revoked, idle_at, max_at, refreshed, created, e, rotations, unusual, s, from,
  tail = struct.unpack('>BBc16c16I4i6i6i6i6i6i6c8I4I4c4HH', v, 3)
local extends, client_given, nobody = flags % 2 == 1, flags % 4 >= 2, flags >= 4
local alive_until = idle_at
if extends and issued + idle > idle_at then alive_until = issued + idle end
if reason ~= 0 or nobody or e ~= epoch or alive_until <= now or (max_at ~= 0 and max_at <= now)
   or not (c == tag or c == parent or generation >= g + 2)
   or (client_given and v:sub(103, 102 + struct.unpack('>H', v, 101)) ~= ARGV[3]) then
  return '\0' .. told .. v
end
local young = maturity > 0 and now - issued < maturity
local outcome = 1
if c ~= tag then
  outcome = young and 2 or 3
  if c ~= parent then
    outcome = outcome + 2
    kind, p, advanced = 2, ('\0'):rep(16), now
    if young then c, g = parent, generation - 1 else c, g = tag, generation end
  elseif not young then
    kind, p, c, g, advanced = 1, c, tag, generation, now
  end
end
if outcome ~= 1 and outcome ~= 3 then unusual = unusual + 1 end
if extends then idle_at = now + idle end
local expires = idle_at
if max_at ~= 0 and max_at < expires then expires = max_at end
local start = tail + 1
if v:byte(tail) == 1 then
  start = start + 2 + struct.unpack('>H', v, start)
  start = start + 2 + struct.unpack('>H', v, start)
end
local recent
if outcome == 1 or not young then
  rotations = rotations + 1
  recent = told .. v:sub(start, start + 113)
else
  recent = v:sub(start)
end
local place = '\0'
if ARGV[2] ~= v:sub(from, tail - 1) then place = '\1' .. ARGV[2] end
redis.call('SET', KEYS[1],
  v:sub(1, 3) .. struct.pack('>Bc16c16I4i6i6i6', kind, c, p, g, advanced, revoked, idle_at) .. v:sub(59, 64) .. told
  .. v:sub(71, 84) .. struct.pack('>I4I4', rotations, unusual) .. secret .. v:sub(97, tail - 1) .. place .. recent,
  'PX', string.format('%.0f', expires - now + KEPT))
return string.char(outcome) .. told .. struct.pack('>i6I4i6', expires, unusual, created) .. v:sub(101, from - 1)
""".replace("KEPT", str(KEPT_AFTER_END_MS))
)
"""
The rows 0 to 4 of the table. KEYS: session. ARGV: what is presented; place; client.

Answers what became of it (see rotation.py), or 0, the time and the record where the pure function must decide.
"""

_WRITE_LINE = """
local function write_line(trail, when, sid, kind, at, rest)
  local number = redis.call('RPUSH', trail, struct.pack('>BI4i6i6', kind, 1, at, at) .. rest)
  redis.call('ZADD', when, at, sid .. struct.pack('>HBI4', number - 1, kind, 1))
end
"""

NOTE = Script(
    _WRITE_LINE
    + f"""
local sid, kind, at, already = struct.unpack('>c16Bi6I4', ARGV[1])
if #KEYS == 3 then
  local counted = redis.call('GETRANGE', KEYS[3], 88, 91)
  if #counted ~= 4 then return 0 end
  already = struct.unpack('>I4', counted) + 1
  redis.call('SETRANGE', KEYS[3], 88, struct.pack('>I4', already))
end
if already > {FOLD_AFTER} then
  local lines = redis.call('LRANGE', KEYS[1], 0, -1)
  for number = #lines, 1, -1 do
    local line_kind, count, begun = struct.unpack('>BI4i6', lines[number])
    if line_kind == kind then
      local place = sid .. struct.pack('>HB', number - 1, kind)
      redis.call('ZREM', KEYS[2], place .. struct.pack('>I4', count))
      redis.call('LSET', KEYS[1], number - 1,
        struct.pack('>BI4i6i6', kind, count + 1, begun, at) .. lines[number]:sub(18))
      redis.call('ZADD', KEYS[2], at, place .. struct.pack('>I4', count + 1))
      return 1
    end
  end
end
write_line(KEYS[1], KEYS[2], sid, kind, at, ARGV[2])
return 1
"""
)
"""A line in a session's trail. KEYS: trail, when, and the session where it is to count it."""

REVOKE = Script(
    _WRITE_LINE
    + """
local sid, reason, kind, now, of_user = struct.unpack('>c16BBi6B', ARGV[1])
"""
    + _CLOCK
    + """
local v = redis.call('GET', KEYS[1])
local ended = 0
if v and v:byte(3) == 0 and (ARGV[3] == '' or v:sub(3, 46) == ARGV[3]) then
  ended = 1
  if of_user == 1 then
    local at = 103 + struct.unpack('>H', v, 101)
    if v:sub(at + 2, at + 1 + struct.unpack('>H', v, at)) ~= ARGV[4] then ended = 0 end
  end
end
if ended == 1 then
  v = v:sub(1, 2) .. string.char(reason) .. v:sub(4, 46) .. told .. v:sub(53)
  redis.call('SET', KEYS[1], v, 'PX', KEPT)
  write_line(KEYS[2], KEYS[3], sid, kind, now, ARGV[2])
  redis.call('PEXPIRE', KEYS[2], KEPT + 86400000)
  redis.call('ZADD', KEYS[4], now, sid)
  redis.call('SADD', KEYS[5], sid .. told)
end
return {ended, told, v or '', redis.call('SMEMBERS', KEYS[5])}
""".replace("KEPT", str(KEPT_AFTER_END_MS))
)
"""
End a session, if it is as it was read. KEYS: session, trail, when, ended, outbox. ARGV: which; the line; the head as it
was read, or empty; the user.
"""

KEEP = Script("""
local v = redis.call('GETRANGE', KEYS[1], 0, 20300)
if #v < 100 or v:byte(3) ~= 0 then return 0 end
local at = 103 + struct.unpack('>H', v, 101)
if v:sub(at + 2, at + 1 + struct.unpack('>H', v, at)) ~= ARGV[2] then return 0 end
redis.call('SETRANGE', KEYS[1], 76, ARGV[1])
return 1
""")
"""Let a session go on at a new epoch. KEYS: session. ARGV: epoch; user."""

LIST = Script(
    "local now = struct.unpack('>i6', ARGV[1])"
    + _CLOCK
    + """
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
return {told, redis.call('ZCARD', KEYS[1])}
"""
)
"""Add a session to its user's. KEYS: the user's sessions, users. ARGV: now; session id; user id."""

UNLIST = Script("""
for number = 2, #ARGV do redis.call('ZREM', KEYS[1], ARGV[number]) end
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) end
return 1
""")
"""Take sessions away from their user's. KEYS: as LIST. ARGV: user id; session ids."""

PUT = Script("""
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
""")
"""Store a new session. KEYS: session, created. ARGV: id; record; created at; milliseconds to keep it."""

REMOVE = Script("""
local v = redis.call('GETRANGE', KEYS[1], 0, 99)
if v ~= '' and v ~= ARGV[2] then return 0 end
for number, line in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  local kind, count = struct.unpack('>BI4', line)
  redis.call('ZREM', KEYS[4], ARGV[1] .. struct.pack('>HBI4', number - 1, kind, count))
end
for number = 5, #KEYS do redis.call('ZREM', KEYS[number], ARGV[1]) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[3])
return 1
""")
"""Remove a session and all that names it. KEYS: session, created, trail, when, ended... ARGV: id; the head as read."""

OVER = Script("""
local over, before = {}, tonumber(ARGV[1])
for number, key in ipairs(KEYS) do
  local dates = redis.call('GETRANGE', key, 46, 63)
  local at
  if #dates == 18 then
    local revoked, idle, max = struct.unpack('>i6i6i6', dates)
    at = revoked ~= 0 and revoked or max ~= 0 and math.min(idle, max) or idle
  end
  if not at or at < before then over[#over + 1] = number end
end
return over
""")
"""
Which sessions of one bucket were over before an instant, or are not there; by their place, counted from 1.

KEYS: them. ARGV: before.
"""

OLD = Script("""
local found = {}
for number, key in ipairs(KEYS) do
  found[number] = redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. ARGV[1])
end
return found
""")
"""Members of sets of one slot from before an instant. KEYS: sets. ARGV: before."""

DUE = Script(
    "local now = struct.unpack('>i6', ARGV[1])"
    + _CLOCK
    + """
for number = 2, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[number]) end
return told
"""
)
"""Write down what is about to be announced. KEYS: due. ARGV: now; marks."""

ANNOUNCE = Script(
    "local now = struct.unpack('>i6', ARGV[1])"
    + _CLOCK
    + """
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local before = last
local marks = tonumber(ARGV[2])
for number = 3 + marks, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[number]) then
    last = math.max(last + 1, now * 1000)
    redis.call('ZADD', KEYS[1], string.format('%.0f', last), ARGV[number])
  end
end
if last ~= before then redis.call('SET', KEYS[2], string.format('%.0f', last)) end
for number = 3, 2 + marks do redis.call('ZREM', KEYS[3], ARGV[number]) end
return 1
"""
)
"""
Tell the guards. KEYS: log, last, due. ARGV: now; how many marks; the marks; what was ended.

One script at a time runs on the log, so numbers become visible in their order. They follow the clock: counted from 1,
they would begin again below the guards' cursors once an older snapshot is restored.
"""

FOLLOW = Script(
    "local now = struct.unpack('>i6', ARGV[1])"
    + _CLOCK
    + """
return {redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, 10000),
        redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - 1000, 'LIMIT', 0, 100)}
"""
)
"""What was ended after a cursor, and marks that somebody has left behind. KEYS: log, due. ARGV: now; cursor."""

LINE = Script("""
redis.call('ZADD', KEYS[1], ARGV[1], struct.pack('>I6', redis.call('INCR', KEYS[2])) .. ARGV[2])
return 1
""")
"""A line of no session. KEYS: lines, count. ARGV: when; line."""

COUNT = Script("""
local kinds, from, before = {}, ARGV[1], '(' .. ARGV[2]
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], from, before)) do
  local kind, count = struct.unpack('>BI4', member, tonumber(ARGV[3]))
  kinds[kind] = (kinds[kind] or 0) + count
end
local answer = {}
for kind, count in pairs(kinds) do
  answer[#answer + 1] = kind
  answer[#answer + 1] = count
end
local zsets = {}
for number = 2, #KEYS do zsets[number - 1] = redis.call('ZCOUNT', KEYS[number], from, before) end
return {answer, zsets}
""")
"""
What happened from one instant on and before another. KEYS: lines by time; sets of which the members are counted.
ARGV: from; before; where in a member its kind stands.
"""

FIRST_KEY = Script("""
for _, text in ipairs(redis.call('HVALS', KEYS[1])) do
  local key = cjson.decode(text)
  if key.algorithm == ARGV[3] and key.verifies_until_ms == cjson.null then return 0 end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
""")
"""Store a signing key unless there is one of its algorithm. KEYS: keys. ARGV: id; key; algorithm."""

SWAP = Script(
    """
local count = #KEYS
for number = 1, count do
  if (redis.call('GET', KEYS[number]) or '') ~= ARGV[number] then return 0 end
end
for number = 1, count do
  local value = ARGV[count + number]
  if value == '' then redis.call('DEL', KEYS[number]) else redis.call('SET', KEYS[number], value, 'PX', KEPT) end
end
return 1
""".replace("KEPT", str(KEPT_AFTER_END_MS))
)
"""Write values if those before are as they were read; empty for none. KEYS: them. ARGV: as read; as they shall be."""

BEAT = Script("""
local found = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], found or ARGV[1])
return found or ''
""")
"""Write the version over itself, which asks for the room and the rights that a sign-in needs. KEYS: version."""

LET_GO = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
"""Give up a lease. KEYS: lease. ARGV: whose."""

ALL: Final = {
    script.sha: script
    for script in (
        *(ROTATE, NOTE, REVOKE, KEEP, LIST, UNLIST, PUT, REMOVE, OVER, OLD, DUE, ANNOUNCE, FOLLOW, LINE, COUNT),
        *(FIRST_KEY, SWAP, BEAT, LET_GO),
    )
}
"""By digest, for a server that does not know one (yet, or any more)."""
