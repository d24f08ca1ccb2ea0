"""What other domains and the applications may ask of plans."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from redis.asyncio import Redis

from omni.domains.plans import repository, service
from omni.domains.plans.contracts import Plan
from omni.foundation.db.sessions import Session, SystemSession
from omni.kit.errors import Unprocessable


async def require_plan(session: Session, code: str, *, public_only: bool) -> Plan:
    """The plan of a code. Raises Unprocessable `unknown_plan`; a hidden plan answers like a missing one."""
    plan = await repository.plan_by_code(session, code)
    if plan is None or (public_only and not plan.public):
        raise Unprocessable("unknown_plan", "There is no plan with this code; see GET /api/plans.", param="plan_code")
    return plan


async def list_plans(session: Session) -> list[Plan]:
    """Every plan, also those that tenants cannot choose."""
    return await repository.all_plans(session)


async def publish_all(open_session: Callable[[], AbstractAsyncContextManager[SystemSession]], redis: Redis) -> int:
    """Writes the snapshots of all plans to Redis; returns how many."""
    async with open_session() as session:
        return await service.publish_all(session, redis)
