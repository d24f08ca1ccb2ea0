"""The SQL of batches' answers. Every statement starts from the session's tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession
from omni.inference.batches.tables import batch_answers
from omni.inference.jobs.tables import jobs

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one line of a batch."""

    line: int
    status: int
    answer: str
    """The line of the output, JSON."""


async def put(session: WriteSession, job_id: UUID, found: Answered) -> None:
    """Keeps an answer; the first one stays."""
    row = {"status": found.status, "answer": found.answer}
    statement = insert(batch_answers).values(tenant_id=session.tenant_id, job_id=job_id, line=found.line, **row)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "job_id", "line"], set_=row, where=batch_answers.c.status.is_(None)
        )
    )


async def try_again(session: WriteSession, job_id: UUID, line: int) -> int:
    """Counts one more try of a line that has no answer; returns how many there were."""
    statement = insert(batch_answers).values(tenant_id=session.tenant_id, job_id=job_id, line=line, tries=1)
    statement = statement.on_conflict_do_update(
        index_elements=["tenant_id", "job_id", "line"], set_={"tries": batch_answers.c.tries + 1}
    )
    tries: int = await session.scalar(statement.returning(batch_answers.c.tries))
    return tries


async def known(session: ReadSession, job_id: UUID) -> tuple[set[int], dict[int, int]]:
    """The lines that are answered, and the tries of those that are not."""
    statement = select(batch_answers.c.line, batch_answers.c.status, batch_answers.c.tries).where(_of(session, job_id))
    answered: set[int] = set()
    tries: dict[int, int] = {}
    for row in await session.all(statement):
        if row["status"] is None:
            tries[row["line"]] = row["tries"]
        else:
            answered.add(row["line"])
    return answered, tries


async def counts(session: ReadSession, job_id: UUID) -> tuple[int, int]:
    """How many lines were answered well, and how many not."""
    good = func.count().filter(batch_answers.c.status < 400)
    bad = func.count().filter(batch_answers.c.status >= 400)
    row = await session.first(select(good.label("good"), bad.label("bad")).where(_of(session, job_id)))
    assert row is not None
    return row["good"], row["bad"]


async def answers(session: ReadSession, job_id: UUID) -> AsyncIterator[Answered]:
    """Every answer, by line."""
    last = 0
    while True:
        statement = select(batch_answers).where(
            _of(session, job_id), batch_answers.c.line > last, batch_answers.c.status.is_not(None)
        )
        rows = await session.all(statement.order_by(batch_answers.c.line).limit(_PAGE))
        for row in rows:
            yield Answered(row["line"], row["status"], row["answer"])
        if len(rows) < _PAGE:
            return
        last = rows[-1]["line"]


async def forget_old(session: SystemSession, ended_before: datetime) -> int:
    """Deletes answers of jobs that ended long ago: they are in files, or were. Returns how many."""
    statement = delete(batch_answers).where(
        batch_answers.c.tenant_id == jobs.c.tenant_id, batch_answers.c.job_id == jobs.c.id,
        jobs.c.ended_at < ended_before,
    )  # fmt: skip
    return (await session.execute(statement)).rowcount


def _of(session: ReadSession, job_id: UUID) -> ColumnElement[bool]:
    return and_(batch_answers.c.tenant_id == session.tenant_id, batch_answers.c.job_id == job_id)
