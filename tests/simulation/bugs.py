"""Bugs to plant: each is a change of a script or of an argument that somebody could make, and has to be found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from omni.domains.metering.rules.stream import roll_up
from omni.domains.metering.service import stream as metering
from omni.gateway.admission.ledger import Ledger
from omni.gateway.admission.limits import LimitSet
from tests.simulation.faults import Plant


class ScriptBug(Plant):
    """Another text in a script."""

    def __init__(self, name: str, script: str, old: str, new: str) -> None:
        self.name = name
        self._script = script
        self._old = old.encode()
        self._new = new.encode()

    def source(self, script: str, source: bytes) -> bytes:
        if script != self._script:
            return source
        if self._old not in source:
            raise LookupError(f"{self.name}: {self._script} has no such text any more")
        return source.replace(self._old, self._new)


class CodeBug(Plant):
    """Other code."""

    def __init__(self, name: str, patched: Callable[[], AbstractContextManager[object]]) -> None:
        self.name = name
        self._patched = patched

    def patched(self) -> AbstractContextManager[object]:
        return self._patched()


def _renew_nothing() -> AbstractContextManager[object]:
    async def renew(_: Ledger) -> None:
        return

    return patch.object(Ledger, "renew_leases", renew)


def _send_nothing_again() -> AbstractContextManager[object]:
    return patch.object(Ledger, "_remember", lambda *_: None)


def _send_only_what_is_young_again() -> AbstractContextManager[object]:
    original = Ledger.on_redis_connected

    async def connected(self: Ledger) -> None:
        self._forget_older(self._loop.time())
        await original(self)

    return patch.object(Ledger, "on_redis_connected", connected)


def _forget_what_was_replayed() -> AbstractContextManager[object]:
    original = Ledger._replay_one

    async def replay(self: Ledger, *given: Any) -> None:
        await original(self, *given)
        self._recent.pop()

    return patch.object(Ledger, "_replay_one", replay)


def _drain_takes_the_first() -> AbstractContextManager[object]:
    async def correct(*_: object) -> None:
        return

    return patch.object(metering, "_correct_expired", correct)


def _drain_counts_every_delivery() -> AbstractContextManager[object]:
    original = metering.record

    async def record(session: Any, events: Any) -> Any:
        await session.add_to_rollups(session, roll_up(events))
        return await original(session, events)

    return patch.object(metering, "record", record)


def _arguments(change: Callable[[list[Any]], None]) -> Callable[[], AbstractContextManager[object]]:
    """Changes what differs between settlements."""
    original = LimitSet.settle_arguments

    def settle_arguments(self: LimitSet, *given: Any) -> Any:
        parts = list(original(self, *given))
        change(parts)
        return tuple(parts)

    return lambda: patch.object(LimitSet, "settle_arguments", settle_arguments)


def _forget_reservation(parts: list[Any]) -> None:
    parts[-4] = b"0"


def _always_first(parts: list[Any]) -> None:
    parts[-3] = b"1"


def _nothing_is_repeated() -> AbstractContextManager[object]:
    return patch("omni.gateway.admission.ledger.sent_again", lambda args, _: args)


_MARK = "if held == 0 or attempt ~= '1' or asked > charge then"
_CLAMP = "charge = math.max(0, math.min(charge, room))"

BUGS: tuple[Plant, ...] = (
    ScriptBug("a settlement counts each time it comes", "settle", "counted = not settled", "counted = true"),
    ScriptBug("a hold is settled without being taken away", "settle", "redis.call('ZREM', KEYS[1], id)", "1"),
    ScriptBug("nothing marks what was settled without a hold", "settle", _MARK, "if asked > charge then"),
    ScriptBug("what a ceiling cut is not marked", "settle", " or asked > charge then", " then"),
    ScriptBug("a settlement charges beyond the ceiling", "settle", _CLAMP, "charge = asked"),
    ScriptBug("the event is written before the charge is cut", "settle", "string.format('%.0f', charge)\n", "amount\n"),
    ScriptBug(
        "a late settlement does not correct the reaper", "settle", "reserved, counted = tonumber(known), true", ""
    ),
    ScriptBug("a late settlement forgets what the reaper charged", "settle", "tonumber(known), true", "0, true"),
    ScriptBug(
        "a request without a hold gives one back", "settle", "if held == 1 then\n    for level", "do\n    for level"
    ),
    ScriptBug(
        "tokens are given back twice",
        "settle",
        "local arrival = math.max",
        "units = 2 * units\n      local arrival = math.max",
    ),
    ScriptBug("open requests are not counted down", "settle", "for level = 1, opens do", "for level = 2, opens do"),
    ScriptBug(
        "money is reserved at the first level only",
        "admit",
        "if units ~= '0' then",
        "if units ~= '0' and level <= counters - 1 then",
    ),
    ScriptBug(
        "a refused request takes from the rates",
        "admit",
        "if late > 0 then",
        "redis.call('SET', KEYS[3 + level], string.format('%.0f', next_arrival))\n  if late > 0 then",
    ),
    ScriptBug("a ceiling admits one request too many", "admit", "used >= limit or after > limit", "used > limit"),
    ScriptBug("a ceiling refuses what just fits", "admit", "after > limit", "after >= limit"),
    ScriptBug(
        "rates go by the clock of the gateway",
        "admit",
        "time[1] * 1000000 + time[2]",
        "tonumber(string.sub(ARGV[#ARGV - 3], 1, 8), 16) * 65536000",
    ),
    ScriptBug(
        "a rate forgets its burst", "admit", "local late = next_arrival - tolerance - now", "local late = arrival - now"
    ),
    ScriptBug(
        "a stream grows without asking the ceilings",
        "extend",
        "> tonumber(ARGV[level - 1]) then return 0",
        "> 1e18 then return 0",
    ),
    ScriptBug(
        "an extension reserves at one level",
        "extend",
        "for level = 3, #KEYS do redis.call('INCRBY'",
        "for level = 3, 3 do redis.call('INCRBY'",
    ),
    ScriptBug(
        "an extension takes without a hold",
        "extend",
        "then return -1 end",
        "then redis.call('INCRBY', KEYS[3] or 'x', ARGV[#ARGV]) return -1 end",
    ),
    ScriptBug("the reaper records nothing", "reap", "redis.call('XADD', KEYS[3], '*', 'e', event or data)", ""),
    ScriptBug("the reaper gives nothing back", "reap", "redis.call('INCRBY', key, delta)", ""),
    ScriptBug("the reaper leaves no mark", "reap", "redis.call('HSET', KEYS[4], id, charged)", ""),
    ScriptBug("the reaper does not wait for the lease", "reap", "'-inf', millis", "'-inf', millis + 2500"),
    CodeBug("leases are not renewed", _renew_nothing),
    CodeBug("what Redis may have lost is not sent again", _send_nothing_again),
    CodeBug("only what is young when Redis is back is sent again", _send_only_what_is_young_again),
    CodeBug("what was replayed from disk is not sent again", _forget_what_was_replayed),
    CodeBug("a repeated settlement is sent as a first one", _nothing_is_repeated),
    CodeBug("a settlement forgets what was reserved", _arguments(_forget_reservation)),
    CodeBug("a request without Redis is settled as if it were held", _arguments(_always_first)),
    CodeBug("the drain keeps the reaper's event", _drain_takes_the_first),
    CodeBug("the drain counts every delivery", _drain_counts_every_delivery),
)
