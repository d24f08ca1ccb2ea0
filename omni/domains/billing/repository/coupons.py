"""Coupons that tenants have redeemed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.billing.contracts import Redemption
from omni.domains.billing.tables import coupon_redemptions
from omni.foundation.db.sessions import ReadSession, WriteSession


async def insert_redemption(session: WriteSession, redemption: Redemption) -> bool:
    """False when the tenant has redeemed this coupon before."""
    statement = insert(coupon_redemptions).values(tenant_id=session.tenant_id, **asdict(redemption))
    return (await session.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def redemptions(session: ReadSession, *, lock: bool = False) -> list[Redemption]:
    """In the order in which they were redeemed; locked, they stay as they are until this transaction ends."""
    table = coupon_redemptions.c
    statement = select(coupon_redemptions).where(table.tenant_id == session.tenant_id)
    statement = statement.order_by(table.redeemed_at, table.code)
    return [_from_row(row) for row in await session.all(statement.with_for_update() if lock else statement)]


async def count_period(session: WriteSession, code: str, period: datetime) -> None:
    """One more billing period in which a coupon took something off; `period` is when it began."""
    table = coupon_redemptions.c
    statement = update(coupon_redemptions).where(
        table.tenant_id == session.tenant_id, table.code == code, table.last_period.is_distinct_from(period)
    )
    await session.execute(statement.values(periods=table.periods + 1, last_period=period))


def _from_row(row: RowMapping) -> Redemption:
    return Redemption(row["code"], row["redeemed_at"], row["periods"], row["last_period"])
