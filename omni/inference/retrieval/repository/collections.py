"""Collections: create, list, find, delete, and the totals that they keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.inference.retrieval.languages import NOTES
from omni.inference.retrieval.schemas import Collection, CollectionRequest
from omni.inference.retrieval.tables import collections
from omni.kit.ids import uuid7

_COLUMNS = (
    collections.c.id,
    collections.c.name,
    collections.c.embedding_model,
    collections.c.chunking,
    collections.c.language,
    collections.c.document_count,
    collections.c.chunk_count,
    collections.c.stored_bytes,
    collections.c.created_at,
)


async def add(session: WriteSession, request: CollectionRequest) -> Collection:
    """A new, empty collection."""
    values = {"tenant_id": session.tenant_id, "id": uuid7(), **request.model_dump()}
    row = await session.first(insert(collections).values(values).returning(*_COLUMNS))
    assert row is not None
    return _collection(row)


async def change(session: WriteSession, collection_id: UUID, changes: dict[str, Any]) -> None:
    """Set members of a collection."""
    await session.execute(
        update(collections)
        .where(collections.c.tenant_id == session.tenant_id, collections.c.id == collection_id)
        .values(**changes)
    )


async def page(session: ReadSession, limit: int, after: UUID | None) -> list[Collection]:
    """Up to `limit` collections, newest first, of those older than `after`."""
    statement = select(*_COLUMNS).where(collections.c.tenant_id == session.tenant_id)
    if after is not None:
        statement = statement.where(collections.c.id < after)
    rows = await session.all(statement.order_by(collections.c.id.desc()).limit(limit))
    return [_collection(row) for row in rows]


async def find(session: ReadSession, collection_id: UUID) -> Collection | None:
    """The collection, or None when there is none that the tenant may see."""
    row = await session.first(
        select(*_COLUMNS).where(collections.c.tenant_id == session.tenant_id, collections.c.id == collection_id)
    )
    return None if row is None else _collection(row)


async def remove(session: WriteSession, collection_id: UUID) -> bool:
    """Delete it with all its documents. False when there was none."""
    result = await session.execute(
        delete(collections).where(collections.c.tenant_id == session.tenant_id, collections.c.id == collection_id)
    )
    return result.rowcount > 0


async def count(session: WriteSession, collection_id: UUID, documents: int, chunks: int, size_bytes: int) -> bool:
    """Add to the totals (negative when something goes) and lock the collection. False when there is none."""
    result = await session.execute(
        update(collections)
        .where(collections.c.tenant_id == session.tenant_id, collections.c.id == collection_id)
        .values(
            document_count=collections.c.document_count + documents,
            chunk_count=collections.c.chunk_count + chunks,
            stored_bytes=collections.c.stored_bytes + size_bytes,
        )
    )
    return result.rowcount > 0


def _collection(row: Mapping[Any, Any]) -> Collection:
    return Collection.model_validate({**row, "language_note": NOTES.get(row["language"])})
