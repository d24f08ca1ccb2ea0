"""The SQL of files. Every statement starts from the session's tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.dialects.postgresql import insert

from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession
from omni.inference.files.schemas import PREFIX, File
from omni.inference.files.tables import files
from omni.kit.ids import prefixed_id

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is to be listed."""

    id: UUID
    project_id: UUID
    name: str
    purpose: str
    size_bytes: int
    expires_at: datetime | None


async def add(session: WriteSession, new: NewFile) -> File:
    """Lists a file, in place of one with the same id."""
    changed = {"size_bytes": new.size_bytes, "expires_at": new.expires_at}
    statement = insert(files).values(
        tenant_id=session.tenant_id, id=new.id, project_id=new.project_id, name=new.name, purpose=new.purpose, **changed
    )
    statement = statement.on_conflict_do_update(index_elements=["tenant_id", "id"], set_=changed)
    row = await session.first(statement.returning(files))
    assert row is not None
    return _from_row(row)


async def find(session: ReadSession, file_id: UUID) -> File | None:
    """The file, or None when there is none that the tenant may see."""
    row = await session.first(select(files).where(files.c.tenant_id == session.tenant_id, files.c.id == file_id))
    return None if row is None else _from_row(row)


async def page(session: ReadSession, purpose: str | None, limit: int, after: UUID | None, order: Order) -> list[File]:
    """Up to `limit` files behind `after`."""
    statement = select(files).where(files.c.tenant_id == session.tenant_id)
    if purpose is not None:
        statement = statement.where(files.c.purpose == purpose)
    if after is not None:
        statement = statement.where(files.c.id < after if order == "desc" else files.c.id > after)
    by = files.c.id.desc() if order == "desc" else files.c.id
    return [_from_row(row) for row in await session.all(statement.order_by(by).limit(limit))]


async def remove(session: WriteSession, file_id: UUID) -> bool:
    """False when there was none."""
    statement = delete(files).where(files.c.tenant_id == session.tenant_id, files.c.id == file_id)
    return (await session.execute(statement)).rowcount > 0


async def expired(session: SystemSession, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Tenant and id of files whose time is over."""
    statement = select(files.c.tenant_id, files.c.id).where(files.c.expires_at <= now).limit(limit)
    return [(row["tenant_id"], row["id"]) for row in await session.all(statement)]


def _from_row(row: RowMapping) -> File:
    expires_at: datetime | None = row["expires_at"]
    return File(
        id=prefixed_id(PREFIX, row["id"]),
        bytes=row["size_bytes"],
        created_at=int(row["created_at"].timestamp()),
        expires_at=None if expires_at is None else int(expires_at.timestamp()),
        filename=row["name"],
        purpose=row["purpose"],
    )
