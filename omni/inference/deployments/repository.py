"""The SQL of deployments. Every statement of a tenant starts from the session's tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, Table, delete, insert, null, select, text, update
from sqlalchemy.dialects import postgresql

from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession
from omni.inference.deployments.rules import Count, Role
from omni.inference.deployments.schemas import CanaryState, DeploymentEvent
from omni.inference.deployments.tables import (
    deployment_events,
    deployment_feedback,
    deployment_minutes,
    deployment_versions,
    deployments,
)
from omni.kit.ids import uuid7

_ADD_MINUTE = text("""
    insert into deployment_minutes as kept (tenant_id, deployment_id, number, role, minute, requests, errors, latency,
        scores, score_sum, score_squares, disagreements, skipped)
    values (:tenant_id, :deployment_id, :number, :role, :minute, :requests, :errors, :latency, :scores, :score_sum,
        :score_squares, :disagreements, :skipped)
    on conflict (tenant_id, deployment_id, number, role, minute) do update set
        requests = kept.requests + excluded.requests, errors = kept.errors + excluded.errors,
        latency = (
            select array_agg(mine + more order by place)
            from unnest(kept.latency, excluded.latency) with ordinality as pairs (mine, more, place)
        ),
        scores = kept.scores + excluded.scores, score_sum = kept.score_sum + excluded.score_sum,
        score_squares = kept.score_squares + excluded.score_squares,
        disagreements = kept.disagreements + excluded.disagreements, skipped = kept.skipped + excluded.skipped
""")
_SUMS = text("""
    select number, role, sum(requests)::bigint as requests, sum(errors)::bigint as errors,
        sum(scores)::bigint as scores, sum(score_sum) as score_sum, sum(score_squares) as score_squares,
        sum(disagreements)::bigint as disagreements, sum(skipped)::bigint as skipped
    from deployment_minutes
    where tenant_id = :tenant_id and deployment_id = :deployment_id and minute >= :since
    group by number, role order by number, role
""")
_LATENCIES = text("""
    select number, role, array_agg(total order by place) as latency from (
        select number, role, place, sum(mine)::bigint as total
        from deployment_minutes, unnest(latency) with ordinality as buckets (mine, place)
        where tenant_id = :tenant_id and deployment_id = :deployment_id and minute >= :since
        group by number, role, place
    ) as places group by number, role
""")


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A deployment with its live versions."""

    id: UUID
    name: str
    model_id: UUID
    revision: int
    canary: dict[str, Any] | None
    canary_state: CanaryState | None
    canary_step: int
    step_counts: dict[str, dict[str, Any]]
    shadow: dict[str, Any] | None
    weights: dict[int, int]
    """Live version → weight."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Routing:
    """Who answers whom."""

    weights: Mapping[int, int]
    canary: Mapping[str, Any] | None
    canary_state: CanaryState | None
    shadow: Mapping[str, Any] | None


async def add(session: WriteSession, name: str, model_id: UUID, routing: Routing, now: datetime) -> UUID | None:
    """The new deployment's id; None when the name is taken."""
    values = {
        "tenant_id": session.tenant_id, "id": uuid7(), "name": name, "model_id": model_id, "updated_at": now,
        "canary": _json(routing.canary), "canary_state": routing.canary_state, "shadow": _json(routing.shadow),
    }  # fmt: skip
    statement = postgresql.insert(deployments).values(values).on_conflict_do_nothing(constraint="uq_deployments_name")
    deployment_id: UUID | None = await session.scalar(statement.returning(deployments.c.id))
    if deployment_id is not None:
        await _put_versions(session, deployment_id, model_id, routing)
    return deployment_id


async def find(session: ReadSession, named: str | UUID, *, lock: bool = False) -> DeploymentRow | None:
    """By id or name."""
    by = deployments.c.id == named if isinstance(named, UUID) else deployments.c.name == named
    statement = select(deployments).where(_mine(session, deployments), by)
    row = await session.first(statement.with_for_update() if lock else statement)
    return None if row is None else (await _with_weights(session, [row]))[0]


async def page(session: ReadSession, limit: int, after: UUID | None) -> list[DeploymentRow]:
    """Up to `limit` deployments, newest first, of those older than `after`."""
    statement = select(deployments).where(_mine(session, deployments))
    if after is not None:
        statement = statement.where(deployments.c.id < after)
    return await _with_weights(session, await session.all(statement.order_by(deployments.c.id.desc()).limit(limit)))


async def reroute(session: WriteSession, row: DeploymentRow, routing: Routing, step: int, now: datetime) -> None:
    """Has others answer from here on: counts of before are not of this revision."""
    statement = update(deployments).where(_mine(session, deployments), deployments.c.id == row.id)
    await session.execute(
        statement.values(
            revision=deployments.c.revision + 1,
            canary=_json(routing.canary),
            canary_state=routing.canary_state,
            canary_step=step,
            step_counts={},
            shadow=_json(routing.shadow),
            updated_at=now,
        )
    )
    await session.execute(
        delete(deployment_versions).where(
            _mine(session, deployment_versions), deployment_versions.c.deployment_id == row.id
        )
    )
    await _put_versions(session, row.id, row.model_id, routing)


async def remove(session: WriteSession, deployment_id: UUID) -> None:
    """With all that was counted."""
    statement = delete(deployments).where(_mine(session, deployments), deployments.c.id == deployment_id)
    await session.execute(statement)


async def note(
    session: WriteSession, deployment_id: UUID, kind: str, version: int | None, reason: str,
    figures: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Adds to the history."""
    await session.execute(
        insert(deployment_events).values(
            tenant_id=session.tenant_id,
            id=uuid7(),
            deployment_id=deployment_id,
            kind=kind,
            version=version,
            reason=reason,
            figures=dict(figures or {}),
        )
    )


async def history(session: ReadSession, deployment_id: UUID, limit: int) -> list[DeploymentEvent]:
    """The latest events, newest first."""
    events = deployment_events.c
    statement = select(deployment_events).where(
        _mine(session, deployment_events), events.deployment_id == deployment_id
    )
    rows = await session.all(statement.order_by(events.id.desc()).limit(limit))
    return [DeploymentEvent.model_validate(dict(row)) for row in rows]


async def add_minute(
    session: WriteSession, deployment_id: UUID, number: int, role: Role, minute: datetime, count: Count
) -> None:
    """Adds to what is counted of a version in a minute."""
    key = {"deployment_id": deployment_id, "number": number, "role": role, "minute": minute}
    await session.execute(_ADD_MINUTE, {"tenant_id": session.tenant_id, **key, **asdict(count)})


async def keep_step_counts(session: WriteSession, deployment_id: UUID, counts: Mapping[str, Any]) -> None:
    """What the canary's step has come to."""
    statement = update(deployments).where(_mine(session, deployments), deployments.c.id == deployment_id)
    await session.execute(statement.values(step_counts=dict(counts)))


async def sums(session: ReadSession, deployment_id: UUID, since: datetime) -> dict[tuple[int, Role], Count]:
    """Version and role → all that was counted from the minute of `since` on. Takes a session of one moment."""
    key = {"tenant_id": session.tenant_id, "deployment_id": deployment_id, "since": since}
    found = {
        (row["number"], row["role"]): Count(
            row["requests"], row["errors"], [], row["scores"], row["score_sum"], row["score_squares"],
            row["disagreements"], row["skipped"],
        )
        for row in await session.all(_SUMS, key)
    }  # fmt: skip
    for row in await session.all(_LATENCIES, key):
        found[row["number"], row["role"]].latency = list(row["latency"])
    return found


async def add_feedback(
    session: WriteSession, deployment_id: UUID, request_id: UUID, number: int, score: float, outcome: str | None
) -> bool:
    """False when the request had feedback already."""
    statement = postgresql.insert(deployment_feedback).values(
        tenant_id=session.tenant_id, deployment_id=deployment_id, request_id=request_id, number=number, score=score,
        outcome=outcome,
    )  # fmt: skip
    return (await session.execute(statement.on_conflict_do_nothing())).rowcount > 0


async def forget_old(session: SystemSession, before: datetime) -> None:
    """Deletes what was counted and said before."""
    await session.execute(delete(deployment_minutes).where(deployment_minutes.c.minute < before))
    await session.execute(delete(deployment_feedback).where(deployment_feedback.c.created_at < before))


async def _put_versions(session: WriteSession, deployment_id: UUID, model_id: UUID, routing: Routing) -> None:
    named: list[tuple[str, int, int]] = [("live", number, weight) for number, weight in routing.weights.items()]
    if routing.canary is not None and routing.canary_state == "running":
        named.append(("canary", routing.canary["version"], 0))
    if routing.shadow is not None:
        named.append(("shadow", routing.shadow["version"], 0))
    await session.execute(
        insert(deployment_versions),
        [
            {
                "tenant_id": session.tenant_id, "deployment_id": deployment_id, "role": role, "number": number,
                "model_id": model_id, "weight": weight,
            }
            for role, number, weight in named
        ],
    )  # fmt: skip


async def _with_weights(session: ReadSession, rows: Sequence[RowMapping]) -> list[DeploymentRow]:
    versions = deployment_versions.c
    statement = select(versions.deployment_id, versions.number, versions.weight).where(
        _mine(session, deployment_versions),
        versions.role == "live",
        versions.deployment_id.in_([row["id"] for row in rows]),
    )
    weights: dict[UUID, dict[int, int]] = {}
    for found in await session.all(statement.order_by(versions.number)):
        weights.setdefault(found["deployment_id"], {})[found["number"]] = found["weight"]
    return [
        DeploymentRow(
            row["id"], row["name"], row["model_id"], row["revision"], row["canary"], row["canary_state"],
            row["canary_step"], row["step_counts"], row["shadow"], weights.get(row["id"], {}), row["created_at"],
            row["updated_at"],
        )
        for row in rows
    ]  # fmt: skip


def _json(value: Mapping[str, Any] | None) -> dict[str, Any] | Any:
    """A JSON null would not be SQL's."""
    return null() if value is None else dict(value)


def _mine(session: ReadSession, table: Table) -> ColumnElement[bool]:
    return table.c.tenant_id == session.tenant_id
