"""Use cases: list, edit and publish plans."""

from __future__ import annotations

from datetime import datetime

from redis.asyncio import Redis

from omni.contracts.redis_names import INVALIDATE_CHANNEL, plan_snapshot
from omni.domains.plans import repository
from omni.domains.plans.contracts import Plan
from omni.foundation.db.sessions import Session
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import NotFound

PUBLISH_SNAPSHOT = "plans.publish_snapshot"


async def public_plans(session: Session) -> list[Plan]:
    """The plans that tenants may choose."""
    return [plan for plan in await repository.all_plans(session) if plan.public]


async def add_missing(session: Session, plan: Plan, now: datetime) -> None:
    """Adds a plan unless its code is taken."""
    if await repository.insert_missing(session, plan, now):
        await enqueue(session, PUBLISH_SNAPSHOT, code=plan.code)


async def edit_plan(session: Session, plan: Plan, now: datetime) -> None:
    """Replaces what a plan allows. Raises NotFound `plan_not_found`."""
    if not await repository.update_plan(session, plan, now):
        raise NotFound("plan_not_found", "There is no plan with this code.")
    await enqueue(session, PUBLISH_SNAPSHOT, code=plan.code)


async def publish_snapshot(session: Session, redis: Redis, code: str) -> None:
    """Writes the current limits of a plan to Redis and tells the gateways. The row stays locked meanwhile."""
    for snapshot in await repository.locked_snapshots(session, code):
        await redis.set(plan_snapshot(code), snapshot.to_json())
        await redis.publish(INVALIDATE_CHANNEL, f"plan {code}")


async def publish_all(session: Session, redis: Redis) -> int:
    """Writes every plan to Redis; returns how many."""
    snapshots = await repository.locked_snapshots(session, None)
    for snapshot in snapshots:
        await redis.set(plan_snapshot(snapshot.code), snapshot.to_json())
    return len(snapshots)
