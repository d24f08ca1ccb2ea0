"""The SQL of jobs. Statements of tenants start from the session's tenant; a worker claims across all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, case, cast, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONPATH, insert

from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession
from omni.inference.jobs.schemas import Job, JobError, JobQuote, Level, LogLine, State
from omni.inference.jobs.tables import job_log, jobs
from omni.kit.ids import uuid7

HIGHEST_PRIORITY = 10
_CLAIM = text("""
    with mine as (
        select tenant_id, id from jobs
        where state in ('queued', 'running') and (leased_until is null or leased_until < :now)
        order by priority desc, (
            select count(*) from jobs as busy
            where busy.tenant_id = jobs.tenant_id and busy.state = 'running' and busy.leased_until >= :now
        ), coalesce(leased_until, created_at)
        limit 1 for update skip locked
    )
    update jobs set state = 'running', leased_until = :until, attempts = attempts + 1,
           started_at = coalesce(started_at, :now)
    from mine where jobs.tenant_id = mine.tenant_id and jobs.id = mine.id returning jobs.*
""")
"""Before others: higher priority, then tenants of whom fewer jobs are worked on, then who has waited longest."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that is to be queued."""

    kind: str
    input: Mapping[str, Any]
    project_id: UUID
    key_id: UUID | None
    key_digest: str
    storage_bytes_limit: int | None
    expires_at: datetime
    priority: int = 0
    quote: Mapping[str, Any] | None = None
    """As `JobQuote.to_row`."""
    webhook_url: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker has until its lease is over."""

    tenant_id: UUID
    project_id: UUID
    key_digest: str
    storage_bytes_limit: int | None
    job: Job


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The jobs of one kind that have not ended."""

    waiting: int = 0
    working: int = 0
    oldest_seconds: float = 0.0
    """How long the one has waited that waits longest."""


@dataclass(frozen=True, slots=True)
class DueWebhook:
    """An ended job, and who is to be told."""

    tenant_id: UUID
    job: Job
    url: str
    last: bool
    """Whether this is the last try."""


async def add(session: WriteSession, new: NewJob) -> tuple[Job, bool]:
    """Queues a job, unless there is one of the same idempotency key; the job, and whether it is new."""
    values = {
        "tenant_id": session.tenant_id, "id": uuid7(), "kind": new.kind, "input": dict(new.input),
        "project_id": new.project_id, "key_id": new.key_id, "key_digest": new.key_digest, "priority": new.priority,
        "storage_bytes_limit": new.storage_bytes_limit, "expires_at": new.expires_at,
        "idempotency_key": new.idempotency_key, "webhook_url": new.webhook_url,
        "quote": None if new.quote is None else dict(new.quote),
    }  # fmt: skip
    statement = insert(jobs).values(values).on_conflict_do_nothing(index_elements=["tenant_id", "idempotency_key"])
    row = await session.first(statement.returning(jobs))
    if row is not None:
        return _from_row(row), True
    earlier = jobs.c.idempotency_key == new.idempotency_key
    row = await session.first(select(jobs).where(jobs.c.tenant_id == session.tenant_id, earlier))
    assert row is not None
    return _from_row(row), False


async def find(session: ReadSession, job_id: UUID, kind: str | None = None) -> Job | None:
    """The job, or None when there is none that the tenant may see."""
    statement = select(jobs).where(jobs.c.tenant_id == session.tenant_id, jobs.c.id == job_id)
    row = await session.first(statement if kind is None else statement.where(jobs.c.kind == kind))
    return None if row is None else _from_row(row)


async def page(
    session: ReadSession, limit: int, after: UUID | None, kind: str | None = None, state: State | None = None
) -> list[Job]:
    """Up to `limit` jobs, newest first, of those older than `after`."""
    statement = select(jobs).where(jobs.c.tenant_id == session.tenant_id)
    if after is not None:
        statement = statement.where(jobs.c.id < after)
    if kind is not None:
        statement = statement.where(jobs.c.kind == kind)
    if state is not None:
        statement = statement.where(jobs.c.state == state)
    return [_from_row(row) for row in await session.all(statement.order_by(jobs.c.id.desc()).limit(limit))]


async def request_cancel(session: WriteSession, job_id: UUID, now: datetime) -> Job | None:
    """Asks for the end of a job, before others are worked on. None when there is no such job that has not ended."""
    row = await session.first(
        update(jobs).where(
            jobs.c.tenant_id == session.tenant_id, jobs.c.id == job_id, jobs.c.state.in_(("queued", "running")),
        ).values(
            cancel_requested_at=func.coalesce(jobs.c.cancel_requested_at, now), priority=HIGHEST_PRIORITY
        ).returning(jobs)
    )  # fmt: skip
    return None if row is None else _from_row(row)


async def put_back(session: WriteSession, job_id: UUID, expires_at: datetime, ended_after: datetime) -> Job | None:
    """Queues a job that ended without success, and later than that, once more; None when it is no such job."""
    row = await session.first(
        update(jobs).where(
            jobs.c.tenant_id == session.tenant_id, jobs.c.id == job_id,
            jobs.c.state.in_(("failed", "cancelled", "expired")), jobs.c.ended_at >= ended_after,
        ).values(
            state="queued", error=None, result=None, ended_at=None, cancel_requested_at=None, leased_until=None,
            expires_at=expires_at, failures=0, webhook_due_at=None, webhook_tries=0,
        ).returning(jobs)
    )  # fmt: skip
    return None if row is None else _from_row(row)


async def is_cancelled(session: ReadSession, job_id: UUID) -> bool:
    """Whether somebody has asked for its end."""
    return bool(
        await session.scalar(
            select(jobs.c.cancel_requested_at.is_not(None)).where(
                jobs.c.tenant_id == session.tenant_id, jobs.c.id == job_id
            )
        )
    )


async def progressed(session: WriteSession, claimed: ClaimedJob, progress: Mapping[str, Any]) -> bool:
    """Says how far it has come. False when the lease was lost to somebody else."""
    return await _change(session, claimed, progress=dict(progress))


async def renew(session: WriteSession, claimed: ClaimedJob, until: datetime) -> bool:
    """Keeps it until then. False when the lease was lost to somebody else."""
    return await _change(session, claimed, leased_until=until)


async def release(session: WriteSession, claimed: ClaimedJob, progress: Mapping[str, Any], now: datetime) -> bool:
    """Lets anybody go on with it."""
    return await _change(session, claimed, progress=dict(progress), leased_until=now)


async def count_failure(session: WriteSession, claimed: ClaimedJob, now: datetime) -> int | None:
    """Lets go of a job whose worker met an error of ours; how often that has happened. None when the lease was lost."""
    count: int | None = await session.scalar(
        update(jobs)
        .where(*_still_mine(session, claimed))
        .values(failures=jobs.c.failures + 1, leased_until=now)
        .returning(jobs.c.failures)
    )
    return count


async def end(
    session: WriteSession, claimed: ClaimedJob, state: State, now: datetime, *, progress: Mapping[str, Any],
    result: Mapping[str, Any] | None = None, error: JobError | None = None,
) -> bool:  # fmt: skip
    """The job is over. False when the lease was lost to somebody else."""
    return await _change(
        session, claimed, state=state, ended_at=now, leased_until=None, progress=dict(progress),
        result=None if result is None else dict(result), error=None if error is None else error.model_dump(),
        webhook_due_at=case((jobs.c.webhook_url.is_not(None), now)),
    )  # fmt: skip


async def _change(session: WriteSession, claimed: ClaimedJob, **values: Any) -> bool:
    statement = update(jobs).where(*_still_mine(session, claimed))
    return (await session.execute(statement.values(**values))).rowcount > 0


def _still_mine(session: WriteSession, claimed: ClaimedJob) -> tuple[ColumnElement[bool], ...]:
    return (
        jobs.c.tenant_id == session.tenant_id, jobs.c.id == claimed.job.id, jobs.c.state == "running",
        jobs.c.attempts == claimed.job.attempts,
    )  # fmt: skip


async def claim_next(session: SystemSession, now: datetime, until: datetime) -> ClaimedJob | None:
    """The job that is to be worked on next, of any tenant; None when there is nothing to do."""
    row = await session.first(_CLAIM, {"now": now, "until": until})
    if row is None:
        return None
    return ClaimedJob(
        row["tenant_id"], row["project_id"], row["key_digest"], row["storage_bytes_limit"], _from_row(row)
    )


async def count_claimable(session: SystemSession, now: datetime) -> int:
    """Jobs that wait for somebody to work on them."""
    statement = select(func.count()).where(
        jobs.c.state.in_(("queued", "running")), func.coalesce(jobs.c.leased_until, jobs.c.created_at) < now
    )
    return int(await session.scalar(statement))


async def queue_figures(session: SystemSession, now: datetime) -> dict[str, QueueFigures]:
    """By kind, of all tenants; a kind of which there is no job is left out."""
    since = func.coalesce(jobs.c.leased_until, jobs.c.created_at)
    waits = or_(jobs.c.leased_until.is_(None), jobs.c.leased_until < now)
    rows = await session.all(
        select(
            jobs.c.kind,
            func.count().filter(waits).label("waiting"),
            func.count().filter(~waits).label("working"),
            func.min(since).filter(waits).label("since"),
        ).where(jobs.c.state.in_(("queued", "running"))).group_by(jobs.c.kind)
    )  # fmt: skip
    return {
        row["kind"]: QueueFigures(
            row["waiting"],
            row["working"],
            0.0 if row["since"] is None else max(0.0, (now - row["since"]).total_seconds()),
        )
        for row in rows
    }


async def claim_webhooks(
    session: SystemSession, now: datetime, pauses: Sequence[timedelta], limit: int
) -> list[DueWebhook]:
    """Ended jobs of which somebody is to be told now. Each is due again after a pause, unless it is done by then."""
    due = select(jobs.c.tenant_id, jobs.c.id).where(jobs.c.webhook_due_at <= now).order_by(jobs.c.webhook_due_at)
    mine = due.limit(limit).with_for_update(skip_locked=True).cte("mine")
    next_at = case(
        *((jobs.c.webhook_tries == tries, now + pause) for tries, pause in enumerate(pauses)),
    )
    rows = await session.all(
        update(jobs).where(jobs.c.tenant_id == mine.c.tenant_id, jobs.c.id == mine.c.id).values(
            webhook_due_at=next_at, webhook_tries=jobs.c.webhook_tries + 1,
        ).returning(jobs)
    )  # fmt: skip
    return [
        DueWebhook(row["tenant_id"], _from_row(row), row["webhook_url"], last=row["webhook_due_at"] is None)
        for row in rows
    ]


async def webhook_done(session: WriteSession, job_id: UUID, attempts: int) -> None:
    """Somebody has been told how this attempt ended, or is not to be told any more."""
    await session.execute(
        update(jobs)
        .where(jobs.c.tenant_id == session.tenant_id, jobs.c.id == job_id, jobs.c.attempts == attempts)
        .values(webhook_due_at=None)
    )


async def with_leftovers(
    session: SystemSession, names: Sequence[str], ended_before: datetime, limit: int
) -> list[tuple[UUID, Job]]:
    """Jobs that ended long ago and whose progress still lists something under one of the names; with their tenants."""
    listed = [func.jsonb_path_exists(jobs.c.progress, cast(f"$.{name}[*]", JSONPATH)) for name in names]
    statement = select(jobs).where(jobs.c.ended_at < ended_before, or_(*listed)).limit(limit)
    return [(row["tenant_id"], _from_row(row)) for row in await session.all(statement)]


async def without_leftovers(session: SystemSession, tenant_id: UUID, job_id: UUID, names: Sequence[str]) -> None:
    """Notes that they are gone."""
    progress: ColumnElement[Any] = jobs.c.progress
    for name in names:
        progress = progress.op("-")(name)
    mine = update(jobs).where(jobs.c.tenant_id == tenant_id, jobs.c.id == job_id)
    await session.execute(mine.values(progress=progress))


async def log(session: WriteSession, job_id: UUID, level: Level, message: str) -> None:
    """Adds a line to the job's log."""
    row = {"tenant_id": session.tenant_id, "id": uuid7(), "job_id": job_id, "level": level, "message": message}
    await session.execute(insert(job_log).values(row))


async def log_page(session: ReadSession, job_id: UUID, limit: int, after: UUID | None) -> list[LogLine]:
    """Up to `limit` lines behind `after`, oldest first."""
    statement = select(job_log).where(job_log.c.tenant_id == session.tenant_id, job_log.c.job_id == job_id)
    if after is not None:
        statement = statement.where(job_log.c.id > after)
    rows = await session.all(statement.order_by(job_log.c.id).limit(limit))
    return [LogLine.model_validate(row, from_attributes=True) for row in rows]


def _from_row(row: RowMapping) -> Job:
    return Job(
        **{name: row[name] for name in Job.model_fields if name not in ("error", "quote")},
        error=None if row["error"] is None else JobError(**row["error"]),
        quote=None if row["quote"] is None else JobQuote.from_row(row["quote"]),
    )
