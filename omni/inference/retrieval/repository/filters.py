"""Filters as SQL over the metadata of documents. Fields and values are bound parameters, always."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Numeric, and_, case, cast, collate, false, func, literal, not_, or_, select
from sqlalchemy.sql.selectable import Select

from omni.foundation.db.sessions import ReadSession
from omni.inference.retrieval.filtering import Compared, Every, Exists, Filter, Not, OneOf, Some
from omni.inference.retrieval.tables import documents

_METADATA = documents.c.metadata


async def matching_chunks(
    session: ReadSession, collection_id: UUID, where: Filter, few: int
) -> tuple[int, Sequence[UUID]]:
    """How many chunks the documents of a collection have that pass the filter, and the ids of these documents where the
    chunks are at most `few`.
    """
    total = func.coalesce(func.sum(documents.c.chunk_count), 0)
    ids = case((total <= few, func.array_agg(documents.c.id)))
    statement = _of_collection(session, collection_id, where).with_only_columns(total.label("chunks"), ids.label("ids"))
    row = await session.first(statement)
    assert row is not None
    return int(row["chunks"]), row["ids"] or ()


def matching_documents(session: ReadSession, collection_id: UUID, where: Filter) -> Select[tuple[UUID]]:
    """The ids of a collection's documents that pass the filter, as a sub-select."""
    return _of_collection(session, collection_id, where)


def _of_collection(session: ReadSession, collection_id: UUID, where: Filter) -> Select[tuple[UUID]]:
    return select(documents.c.id).where(
        documents.c.tenant_id == session.tenant_id, documents.c.collection_id == collection_id, condition(where)
    )


def condition(where: Filter) -> ColumnElement[bool]:
    """The filter as a condition on `documents`; it is never null."""
    match where:
        case OneOf(field, values):
            # A list has a text when the list of that text alone is contained in it.
            wanted = [{field: value} for value in values]
            listed = [{field: [value]} for value in values if isinstance(value, str)]
            return or_(*(_METADATA.contains(each) for each in (*wanted, *listed)))
        case Compared():
            return _compared(where)
        case Exists(field):
            has_field: ColumnElement[bool] = _METADATA.has_key(field)
            return has_field
        case Every(parts):
            return and_(literal(True), *(condition(part) for part in parts))
        case Some(parts):
            return or_(*(condition(part) for part in parts))
        case Not(part):
            return not_(condition(part))


def _compared(where: Compared) -> ColumnElement[bool]:
    held, kind = _METADATA[where.field], func.jsonb_typeof(_METADATA[where.field])
    if isinstance(where.value, str):
        left: ColumnElement[Any] = collate(held.astext, "C")
        right: ColumnElement[Any] = literal(where.value)
        wanted = "string"
    else:
        left, right = cast(held.astext, Numeric), cast(literal(Decimal(repr(where.value))), Numeric)
        wanted = "number"
    compared = {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}
    # CASE keeps PostgreSQL from casting what is no number before it has looked at the kind.
    return case((kind == wanted, compared[where.comparison]), else_=false())
