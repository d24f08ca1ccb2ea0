"""What plans promise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from omni.domains.plans import facade as plans
from omni.domains.sla import repository
from omni.domains.sla.contracts import SlaTable, Tier
from omni.domains.sla.rules import check_tiers
from omni.foundation.db.sessions import Session


async def list_tables(session: Session, plan_code: str) -> list[SlaTable]:
    """Every version, oldest first. Raises Unprocessable `unknown_plan`."""
    await plans.require_plan(session, plan_code, public_only=False)
    return await repository.tables_of(session, plan_code)


async def publish_table(session: Session, plan_code: str, tiers: Sequence[Tier], now: datetime) -> SlaTable:
    """The next version, for months that begin from now on; without tiers nothing is promised any more.

    Raises Unprocessable `unknown_plan`, InvalidInput `sla_tiers_invalid`.
    """
    await plans.require_plan(session, plan_code, public_only=False)
    check_tiers(tiers)
    return await repository.add_table(session, plan_code, tiers, now)


async def seed_table(session: Session, plan_code: str, tiers: Sequence[Tier], now: datetime) -> None:
    """Publishes the first version, unless there is one."""
    if not await repository.tables_of(session, plan_code):
        await publish_table(session, plan_code, tiers, now)
