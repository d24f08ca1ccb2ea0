"""Redis as far as the scripts use it: the real Lua on dictionaries, by a virtual clock, with an undo log.

Undoing is how a Redis loses the last second of its append-only file: whole calls go, newest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from lupa import lua51

from tests.simulation.clock import MICROS, Clock

JOURNAL_MICROS = MICROS
"""How far back a crash can take Redis: it syncs its file once a second."""
_MISSING: Any = object()
Value = bytes | int | float


class Interpreter:
    """Lua 5.1, as in Redis. One serves every Redis of a process: a compiled script knows its server by `attach`."""

    def __init__(self) -> None:
        self.lua = lua51.LuaRuntime(encoding=None)
        self._compiled: dict[bytes, Any] = {}
        self._command: Callable[..., Any] | None = None
        self.lua.globals()[b"redis"] = self.lua.table_from({b"call": self._call})

    def _call(self, name: bytes, *arguments: Value) -> Any:
        assert self._command is not None
        reply = self._command(name, arguments)
        if reply is None:
            return False
        if isinstance(reply, list):
            return self.lua.table_from([False if value is None else value for value in reply])
        return reply

    def run(self, source: bytes, command: Callable[..., Any], keys: Sequence[bytes], args: Sequence[bytes]) -> Any:
        """What the script returns, as Redis would send it: numbers are cut to integers."""
        script = self._compiled.get(source)
        if script is None:
            script = self._compiled[source] = self.lua.compile(source)
        names = self.lua.globals()
        names[b"KEYS"], names[b"ARGV"] = self.lua.table_from(keys), self.lua.table_from(args)
        self._command = command
        reply = script()
        if lua51.lua_type(reply) == "table":
            return [int(value) for value in reply.values()]
        return int(reply)


class SimRedis:
    """Keys and their values."""

    def __init__(self, clock: Clock, interpreter: Interpreter) -> None:
        self._clock = clock
        self._interpreter = interpreter
        self._journal: deque[tuple[int, list[tuple[dict[Any, Any], Any, Any]]]] = deque()
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self.strings: dict[bytes, bytes] = {}
        self.expires: dict[bytes, int] = {}
        self.tables: dict[bytes, dict[bytes, Any]] = {}
        """Hashes, sorted sets (member → score), streams (entry id → event) and groups (`last`, pending ids)."""
        self._last_id: dict[bytes, tuple[int, int]] = {}
        self.on_event: Callable[[bytes], None] = lambda _: None
        """Told of every entry that a script appends to a stream."""

    def run(self, source: bytes, keys: Sequence[bytes], args: Sequence[bytes]) -> Any:
        """Runs a script, at once and as a whole."""
        with_undo = self._undo = []
        try:
            return self._interpreter.run(source, self.command, keys, args)
        finally:
            self._commit(with_undo)

    def transaction(self, *commands: tuple[Value, ...]) -> list[Any]:
        """Runs commands as one call."""
        with_undo = self._undo = []
        replies = [self.command(command[0], command[1:]) for command in commands]
        self._commit(with_undo)
        return replies

    def _commit(self, undo: list[tuple[dict[Any, Any], Any, Any]]) -> None:
        now = self._clock.true_micros()
        if undo:
            self._journal.append((now, undo))
        while self._journal and self._journal[0][0] < now - JOURNAL_MICROS:
            self._journal.popleft()

    def rewind(self, to_micros: int) -> int:
        """Forgets every call after an instant of the true clock, at most a second ago; returns how many."""
        lost = 0
        while self._journal and self._journal[-1][0] > to_micros:
            _, undo = self._journal.pop()
            lost += 1
            for table, key, before in reversed(undo):
                if before is _MISSING:
                    table.pop(key, None)
                else:
                    table[key] = before
        return lost

    def flush(self) -> None:
        for table in (self.strings, self.expires, self.tables, self._last_id):
            table.clear()
        self._journal.clear()

    # --- values ---

    def _put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((table, key, table.get(key, _MISSING)))
        table[key] = value

    def _drop(self, table: dict[Any, Any], key: Any) -> bool:
        if key not in table:
            return False
        self._undo.append((table, key, table.pop(key)))
        return True

    def table(self, key: bytes) -> dict[bytes, Any]:
        found = self.tables.get(key)
        if found is None:
            found = self.tables[key] = {}
        return found

    def get(self, key: bytes) -> bytes | None:
        expires = self.expires.get(key)
        if expires is not None and self._clock.redis_micros() >= expires * 1000:
            self._drop(self.strings, key)
            self._drop(self.expires, key)
        return self.strings.get(key)

    def integer(self, key: bytes) -> int:
        """A counter; 0 when it is missing."""
        return int(self.get(key) or 0)

    # --- commands ---

    def command(self, name: Value, arguments: Sequence[Value]) -> Any:
        assert isinstance(name, bytes)
        return getattr(self, f"_{name.decode().lower()}")(*arguments)

    def _time(self) -> list[bytes]:
        seconds, micros = divmod(self._clock.redis_micros(), MICROS)
        return [b"%d" % seconds, b"%d" % micros]

    def _exists(self, key: bytes) -> int:
        return int(self.get(key) is not None)

    def _get(self, key: bytes) -> bytes | None:
        return self.get(key)

    def _mget(self, *keys: bytes) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def _set(self, key: bytes, value: Value, unit: bytes = b"", ttl: Value = 0) -> bytes:
        self._put(self.strings, key, _text(value))
        if unit:
            ms = int(ttl) * (1000 if unit == b"EX" else 1)
            self._put(self.expires, key, self._clock.redis_micros() // 1000 + ms)
        else:
            self._drop(self.expires, key)
        return b"OK"

    def _del(self, key: bytes) -> int:
        self._drop(self.expires, key)
        return int(self._drop(self.strings, key))

    def _incrby(self, key: bytes, by: Value) -> int:
        value = self.integer(key) + int(by)
        self._put(self.strings, key, b"%d" % value)
        return value

    def _decr(self, key: bytes) -> int:
        return self._incrby(key, -1)

    def _expire(self, key: bytes, seconds: Value) -> int:
        if key in self.strings:
            self._put(self.expires, key, self._clock.redis_micros() // 1000 + int(seconds) * 1000)
        return 1

    def _hset(self, key: bytes, field: bytes, value: Value) -> int:
        self._put(self.table(key), field, _text(value))
        return 1

    def _hsetnx(self, key: bytes, field: bytes, value: Value) -> int:
        if field in self.table(key):
            return 0
        return self._hset(key, field, value)

    def _hget(self, key: bytes, field: bytes) -> bytes | None:
        found: bytes | None = self.table(key).get(field)
        return found

    def _hdel(self, key: bytes, field: bytes) -> int:
        return int(self._drop(self.table(key), field))

    def _zadd(self, key: bytes, *arguments: Value) -> int:
        only_present = arguments[0] == b"XX"
        score, member = arguments[-2:]
        if not only_present or member in self.table(key):
            self._put(self.table(key), member, int(score))
        return 0

    def _zscore(self, key: bytes, member: bytes) -> bytes | None:
        score = self.table(key).get(member)
        return None if score is None else b"%d" % score

    def _zrem(self, key: bytes, member: bytes) -> int:
        return int(self._drop(self.table(key), member))

    def _zrangebyscore(self, key: bytes, _: bytes, most: Value, *limit: Value) -> list[bytes]:
        found = sorted((score, member) for member, score in self.table(key).items() if score <= int(most))
        return [member for _, member in found[: int(limit[2])]]

    def _xadd(self, key: bytes, _: bytes, __: bytes, event: bytes) -> bytes:
        ms, number = self._last_id.get(key, (0, 0))
        now = self._clock.redis_micros() // 1000
        entry = (now, 0) if now > ms else (ms, number + 1)
        self._put(self._last_id, key, entry)
        name = b"%015d-%06d" % entry
        self._put(self.table(key), name, event)
        self.on_event(event)
        return name

    def _xdel(self, key: bytes, *ids: bytes) -> int:
        return sum(self._drop(self.table(key), each) for each in ids)

    def _xack(self, key: bytes, _: bytes, *ids: bytes) -> int:
        return sum(self._drop(self.table(key + b"#pending"), each) for each in ids)

    # --- consumer groups ---

    def make_group(self, stream: bytes) -> None:
        self.transaction((b"HSETNX", stream + b"#group", b"last", b""))

    def read_group(self, stream: bytes, consumer: bytes, count: int) -> list[tuple[bytes, bytes]] | None:
        """New entries, now pending for the consumer; None = there is no group."""
        group = self.table(stream + b"#group")
        if b"last" not in group:
            return None
        undo = self._undo = []
        found = [(each, event) for each, event in sorted(self.table(stream).items()) if each > group[b"last"]][:count]
        for each, _ in found:
            self._put(self.table(stream + b"#pending"), each, self._clock.redis_micros())
        if found:
            self._put(group, b"last", found[-1][0])
        self._commit(undo)
        return found

    def claim(self, stream: bytes, idle_ms: int, count: int) -> list[tuple[bytes, bytes]]:
        """Entries that were read and not acknowledged for so long."""
        undo = self._undo = []
        now, pending = self._clock.redis_micros(), self.table(stream + b"#pending")
        old = [each for each, since in sorted(pending.items()) if now - since >= idle_ms * 1000][:count]
        entries = self.table(stream)
        for each in old:
            if each in entries:
                self._put(pending, each, now)
            else:
                self._drop(pending, each)
        self._commit(undo)
        return [(each, entries[each]) for each in old if each in entries]


def _text(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % int(value)
