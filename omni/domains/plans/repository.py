"""SQL of the plans domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert

from omni.contracts.snapshots import PlanSnapshot
from omni.domains.plans.contracts import Plan
from omni.domains.plans.tables import plans
from omni.foundation.db.sessions import Session


async def all_plans(session: Session) -> list[Plan]:
    """In their order."""
    rows = await session.all(select(plans).order_by(plans.c.position, plans.c.code))
    return [_from_row_plan(row) for row in rows]


async def plan_by_code(session: Session, code: str) -> Plan | None:
    """Also one that is not public."""
    row = await session.first(select(plans).where(plans.c.code == code))
    return None if row is None else _from_row_plan(row)


async def insert_missing(session: Session, plan: Plan, now: datetime) -> bool:
    """False when the code is taken."""
    row = {"code": plan.code, "created_at": now, **_to_columns(plan, now)}
    return (await session.execute(insert(plans).values(row).on_conflict_do_nothing())).rowcount == 1


async def update_plan(session: Session, plan: Plan, now: datetime) -> bool:
    """False when there is no such plan."""
    statement = update(plans).where(plans.c.code == plan.code).values(_to_columns(plan, now))
    return (await session.execute(statement)).rowcount == 1


async def locked_snapshots(session: Session, code: str | None) -> Sequence[PlanSnapshot]:
    """One plan, or all; nobody changes them until the transaction ends."""
    statement = select(plans).order_by(plans.c.code).with_for_update(read=True)
    if code is not None:
        statement = statement.where(plans.c.code == code)
    return [_from_row_plan(row).limits for row in await session.all(statement)]


def _to_columns(plan: Plan, now: datetime) -> dict[str, Any]:
    limits = plan.limits
    return {
        "name": plan.name,
        "description": plan.description,
        "public": plan.public,
        "position": plan.position,
        "requests_per_minute": limits.requests_per_minute,
        "request_burst": limits.request_burst,
        "tokens_per_minute": limits.tokens_per_minute,
        "requests_per_month": limits.requests_per_month,
        "compute_ms_per_month": limits.compute_ms_per_month,
        "storage_bytes": limits.storage_bytes,
        "models": None if limits.models is None else sorted(limits.models),
        "concurrent_requests": limits.concurrent_requests,
        "updated_at": now,
    }


def _from_row_plan(row: RowMapping) -> Plan:
    limits = PlanSnapshot(
        code=row["code"],
        requests_per_minute=row["requests_per_minute"],
        request_burst=row["request_burst"],
        tokens_per_minute=row["tokens_per_minute"],
        requests_per_month=row["requests_per_month"],
        compute_ms_per_month=row["compute_ms_per_month"],
        storage_bytes=row["storage_bytes"],
        models=None if row["models"] is None else frozenset(row["models"]),
        concurrent_requests=row["concurrent_requests"],
    )
    return Plan(row["name"], row["description"], row["public"], row["position"], limits)
