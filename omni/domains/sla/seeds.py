"""What the plans promise that every installation starts with. Free promises nothing."""

from __future__ import annotations

from datetime import datetime

from omni.domains.sla.contracts import Tier
from omni.domains.sla.service.terms import seed_table
from omni.foundation.db.sessions import Session

PRO = (Tier(99_500, 10), Tier(99_000, 25), Tier(95_000, 50))
ENTERPRISE = (Tier(99_900, 10), Tier(99_000, 25), Tier(95_000, 100))
SEEDS = {"pro": PRO, "enterprise": ENTERPRISE}


async def seed(session: Session, now: datetime) -> None:
    """Publishes the tables of plans that have none; needs these plans."""
    for plan_code, tiers in SEEDS.items():
        await seed_table(session, plan_code, tiers, now)
