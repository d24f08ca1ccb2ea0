"""Events that are reported: taken or refused one by one, counted in the transaction that stores them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository import ingesting as repository
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.repository import recounting
from omni.domains.metering.rules.counting import Batch, Contribution, Counting
from omni.domains.metering.rules.events import MOST_EVENTS, Event, Rejected, digest_of, read_event
from omni.domains.metering.rules.periods import SLOT, slot_of
from omni.foundation.db.sessions import WriteSession
from omni.kit.errors import InvalidInput

_AT_ONCE = 500
"""How many events are worked on before other requests of the process have their turn."""
_STORED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Reporter:
    """For whom events are reported: live or test usage of a project."""

    mode: Mode
    project_id: UUID


@dataclass(slots=True)
class Ingested:
    """What became of a batch, in its order: `accepted`, `duplicate` or `rejected` with code and reason."""

    results: list[dict[str, Any]]
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0


@dataclass(slots=True)
class _Work:
    """A batch on its way."""

    items: Sequence[object]
    results: list[dict[str, Any]]
    problems: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    known_types: frozenset[str] = frozenset()

    def reject(self, index: int, error: Rejected) -> None:
        item = self.items[index]
        given = item if isinstance(item, dict) else {}
        source, event_id, kind = (_shown(given.get(name)) for name in ("source", "id", "type"))
        self.results[index] = {
            "source": source, "id": event_id, "status": "rejected", "code": error.code, "reason": error.reason,
        }  # fmt: skip
        key = (error.code, kind if kind in self.known_types else "")
        count = self.problems.get(key, (0, ""))[0]
        self.problems[key] = (count + 1, f"{source} {event_id}"[:500])


async def ingest(session: WriteSession, items: Sequence[object], reporter: Reporter, now: datetime) -> Ingested:
    """Takes a batch of CloudEvents in JSON form as the session's tenant; see `rules/events.py` and `rules/counting.py`
    for what is refused. Events and rollups change in this transaction; once it has committed, they count.

    An event is a duplicate when its source and id were accepted within 35 days, in the same mode; whichever of two in
    one batch comes first is taken. Raises InvalidInput `batch_empty` or `batch_too_long`.
    """
    if not 1 <= len(items) <= MOST_EVENTS:
        raise _batch_too_long() if items else InvalidInput("batch_empty", "Send at least one event.")
    await meters_repository.share_lock(session, str(session.tenant_id))
    meters = await meters_repository.operator_meters(session)
    counting = Counting(meters, str(reporter.project_id))
    work = _Work(items, [{}] * len(items), known_types=frozenset(meter.event_type for meter in meters))
    fresh = await _read(work, counting, reporter, now)
    known = await _store(session, [event for event, _, _ in fresh.values()], reporter, now)
    batch = Batch()
    for number, (digest, (event, index, contributions)) in enumerate(fresh.items()):
        if digest in known:
            work.results[index] = {"source": event.source, "id": event.id, "status": "duplicate"}
        else:
            counting.add(batch, event, contributions)
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    await repository.add_to_rollups(session, reporter.mode, batch, {meter.code: meter.dimensions for meter in meters})
    if work.problems:
        await repository.count_problems(session, now.date(), work.problems)
    rejected = sum(count for count, _ in work.problems.values())
    accepted = len(fresh) - len(known)
    return Ingested(work.results, accepted, len(items) - accepted - rejected, rejected)


async def _read(
    work: _Work, counting: Counting, reporter: Reporter, now: datetime
) -> dict[bytes, tuple[Event, int, list[Contribution]]]:
    """The well-formed events by digest, the first of each, with their places in the batch."""
    fresh: dict[bytes, tuple[Event, int, list[Contribution]]] = {}
    for index, item in enumerate(work.items):
        try:
            event = read_event(item, reporter.mode, now)
            contributions = counting.contributions(event)
        except Rejected as error:
            work.reject(index, error)
            continue
        known = event.digest in fresh
        status = "duplicate" if known else "accepted"
        work.results[index] = {"source": event.source, "id": event.id, "status": status}
        if not known:
            fresh[event.digest] = (event, index, contributions)
        if index % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return fresh


async def _store(session: WriteSession, events: list[Event], reporter: Reporter, now: datetime) -> set[bytes]:
    """Digests of those that were there already."""
    events.sort(key=_digest)
    known: set[bytes] = set()
    for start in range(0, len(events), _STORED_AT_ONCE):
        chunk = events[start : start + _STORED_AT_ONCE]
        known |= await repository.add(session, chunk, reporter.mode, reporter.project_id, now)
    return known


def _digest(event: Event) -> bytes:
    return event.digest


async def void(session: WriteSession, items: Sequence[object], mode: Mode, now: datetime) -> list[dict[str, Any]]:
    """Takes events back by source and id, within 35 days of their arrival: `voided`, also when it was before, or
    `not_found`. Their rollups are made anew in this transaction.

    Raises InvalidInput `batch_empty`, `batch_too_long` or `invalid_event`.
    """
    if not 1 <= len(items) <= MOST_EVENTS:
        raise _batch_too_long() if items else InvalidInput("batch_empty", "Name at least one event.")
    named = [_named(item) for item in items]
    digests = [digest_of(mode, source, event_id) for source, event_id in named]
    await meters_repository.lock(session, str(session.tenant_id))
    rows = await repository.void(session, digests, now)
    touched = {(row["type"], slot_of(row["occurred_at"])) for row in rows if row["now_voided"]}
    meters = await meters_repository.operator_meters(session)
    for meter, slot in _touched(meters, touched):
        await recounting.recount(session, session.tenant_id, meter, (slot, slot + SLOT))
    found = {row["digest"].bytes for row in rows}
    return [
        {"source": source, "id": event_id, "status": "voided" if digest in found else "not_found"}
        for (source, event_id), digest in zip(named, digests, strict=True)
    ]


def _touched(meters: Sequence[Meter], touched: set[tuple[str, datetime]]) -> list[tuple[Meter, datetime]]:
    return [(meter, slot) for meter in meters for kind, slot in sorted(touched) if meter.event_type == kind]


def _named(item: object) -> tuple[str, str]:
    if isinstance(item, dict):
        source, event_id = item.get("source"), item.get("id")
        if isinstance(source, str) and isinstance(event_id, str) and (source + event_id).isprintable():
            return source, event_id
    raise InvalidInput("invalid_event", "Name each event by its source and id.")


def _batch_too_long() -> InvalidInput:
    return InvalidInput("batch_too_long", f"Send at most {MOST_EVENTS:,} events at a time.")


def _shown(value: object) -> str:
    """What is repeated of an attribute in an answer: text of a bearable length that can be stored."""
    return value[:300].replace("\x00", "") if isinstance(value, str) else ""
