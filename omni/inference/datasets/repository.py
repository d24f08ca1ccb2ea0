"""The SQL of datasets. Every statement starts from the session's tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, insert, select

from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.inference.datasets.schemas import Dataset, DatasetSummary
from omni.inference.datasets.tables import datasets
from omni.inference.files.schemas import PREFIX as FILE_PREFIX
from omni.kit.ids import prefixed_id


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset that is to be listed."""

    id: UUID
    project_id: UUID
    name: str
    source_file_id: UUID
    source_sha256: str
    format: str
    row_count: int
    columns: Sequence[Mapping[str, Any]]
    profile: Mapping[str, Any]
    size_bytes: int


async def add(session: WriteSession, new: NewDataset) -> Dataset:
    """Lists a dataset."""
    values = {name: getattr(new, name) for name in NewDataset.__dataclass_fields__}
    values |= {"columns": [dict(column) for column in new.columns], "profile": dict(new.profile)}
    row = await session.first(insert(datasets).values(tenant_id=session.tenant_id, **values).returning(datasets))
    assert row is not None
    return _from_row(row)


async def find(session: ReadSession, dataset_id: UUID) -> Dataset | None:
    """The dataset, or None when there is none that the tenant may see."""
    mine = (datasets.c.tenant_id == session.tenant_id, datasets.c.id == dataset_id)
    row = await session.first(select(datasets).where(*mine))
    return None if row is None else _from_row(row)


async def page(session: ReadSession, limit: int, after: UUID | None) -> list[DatasetSummary]:
    """Up to `limit` datasets, newest first, of those older than `after`."""
    statement = select(
        datasets.c.id, datasets.c.name, datasets.c.row_count, datasets.c.size_bytes, datasets.c.created_at,
        func.jsonb_array_length(datasets.c.columns).label("column_count"),
    ).where(datasets.c.tenant_id == session.tenant_id)  # fmt: skip
    if after is not None:
        statement = statement.where(datasets.c.id < after)
    rows = await session.all(statement.order_by(datasets.c.id.desc()).limit(limit))
    return [
        DatasetSummary(
            id=row["id"], name=row["name"], rows=row["row_count"], columns=row["column_count"],
            stored_bytes=row["size_bytes"], created_at=row["created_at"],
        )
        for row in rows
    ]  # fmt: skip


async def remove(session: WriteSession, dataset_id: UUID) -> bool:
    """False when there was none."""
    statement = delete(datasets).where(datasets.c.tenant_id == session.tenant_id, datasets.c.id == dataset_id)
    return (await session.execute(statement)).rowcount > 0


def _from_row(row: RowMapping) -> Dataset:
    return Dataset(
        id=row["id"], name=row["name"], source_file_id=prefixed_id(FILE_PREFIX, row["source_file_id"]),
        source_sha256=row["source_sha256"], format=row["format"], rows=row["row_count"], columns=row["columns"],
        stored_bytes=row["size_bytes"], created_at=row["created_at"], profile=row["profile"],
    )  # fmt: skip
