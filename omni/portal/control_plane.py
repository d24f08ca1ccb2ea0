"""The control plane put together from its domains: the same routers for the console and for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import APIRouter

from omni.domains.billing import facade as billing_facade
from omni.domains.billing import routes as billing
from omni.domains.budgets import routes as budgets
from omni.domains.identity import routes as identity
from omni.domains.identity.guard import UserGuard
from omni.domains.keys import routes as keys
from omni.domains.ledger import routes as ledger
from omni.domains.metering import routes as metering
from omni.domains.models import routes as models
from omni.domains.models.facade import Secrets
from omni.domains.payments import routes as payments
from omni.domains.payments.facade import Providers
from omni.domains.plans import routes as plans
from omni.domains.pricing import routes as pricing
from omni.domains.sla import routes as sla
from omni.domains.sla.contracts import StatusPage
from omni.domains.tenants import routes as tenants
from omni.domains.tenants.guard import TenantGuard
from omni.domains.tenants.routes.deps import TenantsDeps
from omni.foundation.crypto.passwords import Passwords
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock
from omni.portal import control_feed

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase


@dataclass(frozen=True, slots=True)
class ControlPlaneDeps:
    """What the routes work with."""

    database: Database
    system_database: SystemDatabase
    """For the one look-up across tenants: which ones a user is a member of."""
    master_key: MasterKey
    passwords: Passwords
    clock: Clock
    status_page: StatusPage
    payment_providers: Providers = field(default_factory=lambda: Providers({}))


def control_plane_routers(deps: ControlPlaneDeps) -> list[APIRouter]:
    """Every router of `/api`."""
    database, clock = deps.database, deps.clock
    unit_of_work = UnitOfWork(deps.master_key)
    users, access = UserGuard(database, clock), TenantGuard(database, clock)
    tenants_deps = TenantsDeps(
        database=database,
        system_database=deps.system_database,
        unit_of_work=unit_of_work,
        passwords=deps.passwords,
        master_key=deps.master_key,
        current_user=users.current_user,
        operator=users.operator,
        choose_plan=billing_facade.choose_plan,
        clock=clock,
    )
    return [
        identity.router(identity.IdentityDeps(database, unit_of_work, deps.passwords, deps.master_key, clock)),
        tenants.router(tenants_deps),
        plans.router(plans.PlansDeps(database, unit_of_work, users.operator, clock)),
        models.router(models.ModelsDeps(database, unit_of_work, users.operator, access, Secrets(deps.master_key))),
        budgets.router(budgets.BudgetsDeps(database, unit_of_work, users.operator, access, clock)),
        keys.router(keys.KeysDeps(database, unit_of_work, access, clock)),
        metering.router(
            metering.MeteringDeps(database, deps.system_database, unit_of_work, access, users.operator, clock)
        ),
        pricing.router(pricing.PricingDeps(database, unit_of_work, users.operator, clock)),
        billing.router(
            billing.BillingDeps(database, unit_of_work, users.operator, access, clock, deps.payment_providers)
        ),
        sla.router(sla.SlaDeps(database, unit_of_work, users.operator, access, deps.status_page, clock)),
        ledger.router(ledger.LedgerDeps(database, access)),
        payments.router(
            payments.PaymentsDeps(
                database,
                deps.system_database.session,
                unit_of_work,
                users.operator,
                access,
                deps.payment_providers,
                clock,
            )
        ),
        control_feed.router(control_feed.ControlFeedDeps(database, deps.master_key.derive("control-feed"))),
    ]
