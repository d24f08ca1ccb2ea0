"""Counting what deployments come to: gathered in memory, written a batch at a time, and decided on where it is written.

A version's figures and what becomes of a canary by them commit together, under the deployment's lock: whoever writes
second sees what the first has decided, and what was counted under another revision says nothing about this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

import structlog

from omni.foundation.db.sessions import Database, WriteSession
from omni.inference.deployments import repository, rules
from omni.inference.deployments.repository import DeploymentRow, Routing
from omni.inference.deployments.rules import Canary, Count, Decision, Role
from omni.kit.clock import Clock
from omni.telemetry.inference_metrics import DeploymentMetrics

WRITE_SECONDS = 1.0
"""How long figures wait to be written."""
MOST_WAITING = 10_000
"""Minutes of versions that are kept while the database is away; beyond that, figures are lost and the log says so."""

log = structlog.stdlib.get_logger("omni.deployments")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a count belongs."""

    number: int
    role: Role
    revision: int
    minute: datetime


Counts = dict[Place, Count]


class Counters:
    """One backend's counts that are not written yet."""

    def __init__(
        self, database: Database, clock: Clock, metrics: DeploymentMetrics, write_seconds: float = WRITE_SECONDS
    ) -> None:
        self._database = database
        self._clock = clock
        self.metrics = metrics
        self._write_seconds = write_seconds
        self._waiting: dict[tuple[UUID, UUID], Counts] = {}
        self._writing: asyncio.Task[None] | None = None

    def add(self, tenant_id: UUID, row: DeploymentRow, number: int, role: Role, count: Count) -> None:
        """Counts, and has it written soon."""
        place = Place(number, role, row.revision, self.minute())
        self._put(tenant_id, row.id, {place: count})
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_later())

    def minute(self) -> datetime:
        """The minute that it is."""
        return self._clock.now().replace(second=0, microsecond=0)

    async def write(self) -> None:
        """Writes all that waits; what cannot be written waits on."""
        waiting, self._waiting = self._waiting, {}
        for (tenant_id, deployment_id), counts in waiting.items():
            try:
                async with self._database.write(tenant_id) as session:
                    decision = await settle(session, deployment_id, counts, self._clock.now())
            except Exception as error:  # noqa: BLE001 the edge of a background task; the next one tries again
                log.warning("deployment_counts_wait", reason=error)
                self._put(tenant_id, deployment_id, counts)
            else:
                self.decided(decision)

    def decided(self, decision: Decision | None) -> None:
        """Counts what `settle` decided, once it is committed."""
        if decision is not None:
            self.metrics.decisions.add(decision.kind, decision.cause)

    async def close(self) -> None:
        """Writes what waits, once."""
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self.write()

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._write_seconds)
            await self.write()
        self._writing = None

    def _put(self, tenant_id: UUID, deployment_id: UUID, counts: Counts) -> None:
        if sum(map(len, self._waiting.values())) >= MOST_WAITING:
            log.error("deployment_counts_lost", deployment_id=str(deployment_id))
            return
        kept = self._waiting.setdefault((tenant_id, deployment_id), {})
        for place, count in counts.items():
            kept.setdefault(place, Count()).add(count)


async def settle(
    session: WriteSession, deployment_id: UUID, counts: Mapping[Place, Count], now: datetime
) -> Decision | None:
    """Writes counts of a deployment, and decides about its canary. One that is gone counts nothing."""
    row = await repository.find(session, deployment_id, lock=True)
    if row is None:
        return None
    for place, count in counts.items():
        await repository.add_minute(session, row.id, place.number, place.role, place.minute, count)
    if row.canary is None or row.canary_state != "running":
        return None
    own, others = (Count(**row.step_counts[who]) if who in row.step_counts else Count() for who in ("own", "others"))
    for place, count in counts.items():
        if place.revision == row.revision and place.role != "shadow":
            (own if place.role == "canary" else others).add(count)
    canary = Canary.from_json(row.canary)
    decision = rules.decide(canary, row.canary_step, own, others)
    if decision is None:
        await repository.keep_step_counts(session, row.id, {"own": asdict(own), "others": asdict(others)})
    else:
        await _apply(session, row, canary, decision, now)
    return decision


async def _apply(session: WriteSession, row: DeploymentRow, canary: Canary, decision: Decision, now: datetime) -> None:
    weights, step = row.weights, row.canary_step
    match decision.kind:
        case "stepped":
            routing, step = Routing(weights, row.canary, "running", row.shadow), step + 1
        case "promoted":
            routing = Routing({canary.version: 1}, row.canary, "promoted", row.shadow)
        case "rolled_back":
            routing = Routing(weights, row.canary, "rolled_back", row.shadow)
    await repository.reroute(session, row, routing, step, now)
    await repository.note(session, row.id, decision.kind, canary.version, decision.reason, decision.figures)
    log.info("deployment_decided", deployment_id=str(row.id), decision=decision.kind)
