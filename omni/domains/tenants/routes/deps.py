"""What the tenant routes work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from omni.domains.identity.contracts import CurrentUser
from omni.domains.tenants.contracts import Tenant
from omni.domains.tenants.guard import TenantGuard
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase

UserDependency = Callable[..., Awaitable[CurrentUser]]
ChoosePlan = Callable[[WriteSession, str, datetime], Awaitable[Tenant]]


@dataclass(frozen=True, slots=True)
class TenantsDeps:
    """`current_user` and `operator` are identity's; `system_database` is for the one look-up across tenants;
    `choose_plan` is billing's, which knows what plans cost."""

    database: Database
    system_database: SystemDatabase
    unit_of_work: UnitOfWork
    passwords: Passwords
    master_key: MasterKey
    current_user: UserDependency
    operator: UserDependency
    choose_plan: ChoosePlan
    clock: Clock

    @property
    def guard(self) -> TenantGuard:
        """Makes the dependency for a permission."""
        return TenantGuard(self.database, self.clock)
