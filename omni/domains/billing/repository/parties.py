"""Sellers, their series of numbers, and what is known of buyers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.billing.contracts import BillingProfile, LegalEntity
from omni.domains.billing.tables import billing_profiles, invoice_series, legal_entities
from omni.foundation.db.sessions import ReadSession, Session, WriteSession


async def find_entity(session: Session, code: str | None) -> LegalEntity | None:
    """The legal entity of this code, or the default one."""
    table = legal_entities.c
    wanted = table.is_default if code is None else table.code == code
    row = await session.first(select(legal_entities).where(wanted))
    return None if row is None else _to_entity(row)


async def list_entities(session: Session) -> list[LegalEntity]:
    rows = await session.all(select(legal_entities).order_by(legal_entities.c.code))
    return [_to_entity(row) for row in rows]


async def save_entity(session: Session, entity: LegalEntity) -> None:
    """Adds or replaces it; the default one takes the place of the one before."""
    if entity.is_default:
        table = legal_entities.c
        await session.execute(
            update(legal_entities).where(table.is_default, table.code != entity.code).values(is_default=False)
        )
    row = asdict(entity)
    changed = {name: value for name, value in row.items() if name not in ("code", "invoice_prefix")}
    statement = insert(legal_entities).values(row)
    await session.execute(statement.on_conflict_do_update(index_elements=["code"], set_=changed))


async def next_number(session: Session, entity_code: str, series: str) -> int:
    """The next number of a series. Its row stays locked until this transaction ends, so that numbers have no gap."""
    statement = insert(invoice_series).values(entity_code=entity_code, series=series, last_number=1)
    statement = statement.on_conflict_do_update(
        index_elements=["entity_code", "series"], set_={"last_number": invoice_series.c.last_number + 1}
    )
    return int(await session.scalar(statement.returning(invoice_series.c.last_number)))


async def find_profile(session: ReadSession) -> BillingProfile | None:
    table = billing_profiles.c
    row = await session.first(select(billing_profiles).where(table.tenant_id == session.tenant_id))
    if row is None:
        return None
    return BillingProfile(**{name: value for name, value in row.items() if name not in ("tenant_id", "created_at")})


async def save_profile(session: WriteSession, profile: BillingProfile) -> None:
    """Adds or replaces the tenant's profile, all but its clock."""
    row = asdict(profile)
    changed = {name: value for name, value in row.items() if name != "test_clock"}
    statement = insert(billing_profiles).values(tenant_id=session.tenant_id, **row)
    await session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=changed))


async def set_clock(session: WriteSession, clock: datetime) -> None:
    table = billing_profiles.c
    statement = update(billing_profiles).where(table.tenant_id == session.tenant_id)
    await session.execute(statement.values(test_clock=clock))


def _to_entity(row: RowMapping) -> LegalEntity:
    return LegalEntity(**{name: value for name, value in row.items() if name != "created_at"})
