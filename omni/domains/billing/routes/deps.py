"""What the routes of billing work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from omni.domains.billing.service.profiles import profile_of
from omni.domains.identity.contracts import CurrentUser
from omni.domains.payments.facade import Providers
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database, ReadSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class BillingDeps:
    """`access` makes the dependency that lets only permitted members pass, `operator` is one for operators."""

    database: Database
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[CurrentUser]]
    access: Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]
    clock: Clock
    payment_providers: Providers


async def now_of(session: ReadSession, clock: Clock) -> datetime:
    """What time it is for the tenant: a sandbox tenant's own clock, else the real one."""
    return (await profile_of(session)).test_clock or clock.now()
