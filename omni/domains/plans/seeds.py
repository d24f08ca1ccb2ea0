"""The plans that every installation starts with."""

from __future__ import annotations

from datetime import datetime

from omni.contracts.snapshots import PlanSnapshot
from omni.domains.plans import service
from omni.domains.plans.contracts import Plan
from omni.foundation.db.sessions import Session

MIB = 1024**2
GIB = 1024**3

FREE = Plan(
    name="Free",
    description="To try things out.",
    public=True,
    position=0,
    limits=PlanSnapshot(
        code="free",
        requests_per_minute=60,
        request_burst=20,
        tokens_per_minute=20_000,
        requests_per_month=10_000,
        compute_ms_per_month=600_000,
        storage_bytes=100 * MIB,
        models=None,
        concurrent_requests=10,
    ),
)

PRO = Plan(
    name="Pro",
    description="For products in production.",
    public=True,
    position=1,
    limits=PlanSnapshot(
        code="pro",
        requests_per_minute=600,
        request_burst=120,
        tokens_per_minute=1_000_000,
        requests_per_month=1_000_000,
        compute_ms_per_month=36_000_000,
        storage_bytes=10 * GIB,
        models=None,
        concurrent_requests=100,
    ),
)

ENTERPRISE = Plan(
    name="Enterprise",
    description="No monthly ceilings.",
    public=True,
    position=2,
    limits=PlanSnapshot(
        code="enterprise",
        requests_per_minute=60_000,
        request_burst=6_000,
        tokens_per_minute=None,
        requests_per_month=None,
        compute_ms_per_month=None,
        storage_bytes=None,
        models=None,
    ),
)

SEEDS = (FREE, PRO, ENTERPRISE)


async def seed(session: Session, now: datetime) -> None:
    """Adds the plans that are missing and publishes them; changes none that is there."""
    for plan in SEEDS:
        await service.add_missing(session, plan, now)
