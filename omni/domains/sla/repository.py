"""SQL of service levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select, text, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.sla.contracts import Month, SlaTable, Tier
from omni.domains.sla.tables import sla_months, sla_tables
from omni.foundation.db.sessions import ReadSession, Session, SystemSession, WriteSession

_LOCK_PLAN = text("select pg_advisory_xact_lock(hashtextextended('sla_tables ' || :plan_code, 0))")
_UNMEASURED = text("""
    select t.tenant_id, coalesce(p.time_zone, 'UTC') as zone, t.created_at from tenants t
    left join billing_profiles p using (tenant_id)
    where p.test_clock is null and t.created_at < :until
      and not exists (select 1 from sla_months m where m.tenant_id = t.tenant_id and m.month = :month)
    order by t.tenant_id
""")


async def tables_of(session: Session, plan_code: str) -> list[SlaTable]:
    """Every version, oldest first."""
    table = sla_tables.c
    statement = select(sla_tables).where(table.plan_code == plan_code).order_by(table.version)
    return [_to_table(row) for row in await session.all(statement)]


async def table_of(session: Session, plan_code: str, version: int) -> SlaTable | None:
    table = sla_tables.c
    statement = select(sla_tables).where(table.plan_code == plan_code, table.version == version)
    row = await session.first(statement)
    return None if row is None else _to_table(row)


async def table_at(session: Session, plan_code: str, moment: datetime) -> SlaTable | None:
    """The newest that was published by then."""
    table = sla_tables.c
    statement = select(sla_tables).where(table.plan_code == plan_code, table.published_at <= moment)
    row = await session.first(statement.order_by(table.version.desc()).limit(1))
    return None if row is None else _to_table(row)


async def add_table(session: Session, plan_code: str, tiers: Sequence[Tier], now: datetime) -> SlaTable:
    """The next version; whoever adds another one to the plan at the same time waits."""
    await session.execute(_LOCK_PLAN, {"plan_code": plan_code})
    made = SlaTable(plan_code, len(await tables_of(session, plan_code)) + 1, tuple(tiers), now)
    await session.execute(insert(sla_tables).values(**{**asdict(made), "tiers": [asdict(tier) for tier in tiers]}))
    return made


async def list_months(session: ReadSession, *, evidence: bool = False) -> list[Month]:
    """Newest first, with their evidence or without."""
    columns = [column for column in sla_months.c if evidence or column.name != "evidence"]
    statement = select(*columns).where(sla_months.c.tenant_id == session.tenant_id)
    return [_to_month(row) for row in await session.all(statement.order_by(sla_months.c.month.desc()))]


async def find(session: ReadSession, month: date, *, lock: bool = False) -> Month | None:
    """Locked, it stays as it is until this transaction ends."""
    table = sla_months.c
    statement = select(sla_months).where(table.tenant_id == session.tenant_id, table.month == month)
    row = await session.first(statement.with_for_update() if lock else statement)
    return None if row is None else _to_month(row)


async def of_invoice(session: ReadSession, invoice_id: UUID) -> Month | None:
    """The month that a credit note is for."""
    table = sla_months.c
    row = await session.first(
        select(sla_months).where(table.tenant_id == session.tenant_id, table.invoice_id == invoice_id)
    )
    return None if row is None else _to_month(row)


async def insert_missing(session: WriteSession, month: Month) -> None:
    """Unless the month has a row."""
    statement = insert(sla_months).values(tenant_id=session.tenant_id, **_to_row(month))
    await session.execute(statement.on_conflict_do_nothing())


async def close(session: WriteSession, month: Month) -> None:
    """Stores what a month came to; one that is closed stays as it is."""
    table = sla_months.c
    statement = update(sla_months).where(
        table.tenant_id == session.tenant_id, table.month == month.month, table.closed_at.is_(None)
    )
    await session.execute(statement.values(**_to_row(month)))


async def unmeasured(session: SystemSession, month: date, until: datetime) -> list[tuple[UUID, str, datetime]]:
    """Tenants in real time that existed by then and whose month has no row: id, zone, and when they were opened."""
    rows = await session.all(_UNMEASURED, {"month": month, "until": until})
    return [(row["tenant_id"], row["zone"], row["created_at"]) for row in rows]


async def waiting(session: SystemSession) -> list[tuple[UUID, date]]:
    """Months that wait for invoices to become final."""
    table = sla_months.c
    statement = select(table.tenant_id, table.month).where(table.outcome == "waiting")
    return [(row["tenant_id"], row["month"]) for row in await session.all(statement.order_by(table.tenant_id))]


def _to_row(month: Month) -> dict[str, Any]:
    row = asdict(month)
    row["starts_at"], row["ends_at"] = row.pop("start"), row.pop("end")
    return row


def _to_month(row: RowMapping) -> Month:
    values = {name: value for name, value in row.items() if name != "tenant_id"}
    values["start"], values["end"] = values.pop("starts_at"), values.pop("ends_at")
    return Month(**values)


def _to_table(row: RowMapping) -> SlaTable:
    return SlaTable(row["plan_code"], row["version"], tuple(Tier(**tier) for tier in row["tiers"]), row["published_at"])
