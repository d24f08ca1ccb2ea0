"""The SQL of which objects rows name. Sessions are of the tenant whose objects they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from omni.foundation.db.sessions import ReadSession
from omni.inference.datasets.tables import datasets
from omni.inference.files.tables import files
from omni.inference.jobs.tables import jobs
from omni.inference.registry.tables import model_versions


@dataclass(frozen=True, slots=True)
class JobNames:
    """What a job may still need of the object store."""

    ended: bool
    progress: Mapping[str, Any]


async def files_of(session: ReadSession, ids: Collection[UUID]) -> set[UUID]:
    """Those of the ids that are files."""
    statement = select(files.c.id).where(files.c.tenant_id == session.tenant_id, files.c.id.in_(ids))
    return {row["id"] for row in await session.all(statement)} if ids else set()


async def datasets_of(session: ReadSession, ids: Collection[UUID]) -> set[UUID]:
    """Those of the ids that are datasets."""
    statement = select(datasets.c.id).where(datasets.c.tenant_id == session.tenant_id, datasets.c.id.in_(ids))
    return {row["id"] for row in await session.all(statement)} if ids else set()


async def versions_of(session: ReadSession, names: Collection[str]) -> set[str]:
    """Those of the names that are a version's object."""
    name = model_versions.c.object_name
    statement = select(name).where(model_versions.c.tenant_id == session.tenant_id, name.in_(names))
    return {row["object_name"] for row in await session.all(statement)} if names else set()


async def jobs_of(session: ReadSession, ids: Collection[UUID], *, lock: bool) -> dict[UUID, JobNames]:
    """Those of the ids that are jobs; locked, no ended one is put back before the transaction ends."""
    if not ids:
        return {}
    statement = select(jobs).where(jobs.c.tenant_id == session.tenant_id, jobs.c.id.in_(ids)).order_by(jobs.c.id)
    rows = await session.all(statement.with_for_update() if lock else statement)
    return {row["id"]: JobNames(row["ended_at"] is not None, row["progress"]) for row in rows}
