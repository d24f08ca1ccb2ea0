"""SQL of meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import orjson
from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from omni.domains.metering.contracts import Meter
from omni.domains.metering.tables import meters
from omni.foundation.db.sessions import Session

_NAMES = tuple(Meter.__dataclass_fields__)


async def insert_missing(session: Session, given: Sequence[Meter]) -> list[str]:
    """Adds the meters whose code is free; returns these codes."""
    statement = insert(meters).on_conflict_do_nothing().returning(meters.c.code)
    rows = [to_row(meter) for meter in given]
    added: list[str] = []
    for row in rows:
        added += (await session.execute(statement, row)).scalars()
    return added


async def all_meters(session: Session) -> list[Meter]:
    """By code."""
    return [from_row_meter(row) for row in await session.all(select(meters).order_by(meters.c.code))]


async def meter(session: Session, code: str) -> Meter | None:
    row = await session.first(select(meters).where(meters.c.code == code))
    return None if row is None else from_row_meter(row)


async def operator_meters(session: Session) -> list[Meter]:
    """Those that count ingested events, retired ones too."""
    rows = await session.all(select(meters).where(meters.c.scope == "operator").order_by(meters.c.code))
    return [from_row_meter(row) for row in rows]


async def update(session: Session, code: str, changes: dict[str, object]) -> None:
    await session.execute(meters.update().where(meters.c.code == code).values(**changes))


async def share_lock(session: Session, tenant_key: str) -> None:
    """Holds off, until the transaction ends, whoever counts the tenant's events anew."""
    await session.execute(text("select pg_advisory_xact_lock_shared(hashtextextended(:key, 7))"), {"key": tenant_key})


async def lock(session: Session, tenant_key: str) -> None:
    """Waits for the transactions that add events of the tenant, and holds off new ones."""
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": tenant_key})


def to_row(given: Meter) -> dict[str, object]:
    row = asdict(given)
    row["filters"] = orjson.loads(orjson.dumps(given.filters))
    row["dimensions"] = list(given.dimensions)
    return row


def from_row_meter(row: RowMapping) -> Meter:
    members = {name: row[name] for name in _NAMES}
    members["dimensions"] = tuple(row["dimensions"])
    members["filters"] = {name: tuple(values) for name, values in row["filters"].items()}
    return Meter(**members)
