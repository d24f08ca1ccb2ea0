"""What the domains do in the background, put together for the worker: without their routes, which it has no use for."""

from __future__ import annotations

from dataclasses import dataclass, field

from redis.asyncio import Redis

from omni.domains.billing import tasks as billing_tasks
from omni.domains.budgets import tasks as budgets_tasks
from omni.domains.identity import tasks as identity_tasks
from omni.domains.keys import tasks as keys_tasks
from omni.domains.models import tasks as models_tasks
from omni.domains.payments import tasks as payments_tasks
from omni.domains.payments.facade import Providers
from omni.domains.plans import tasks as plans_tasks
from omni.domains.pricing import tasks as pricing_tasks
from omni.domains.tenants import tasks as tenants_tasks
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.mail import Mailer
from omni.foundation.tasks.task import Task
from omni.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class TaskDeps:
    """What the tasks work with."""

    database: Database
    redis: Redis
    mailer: Mailer
    master_key: MasterKey
    console_url: str
    clock: Clock
    payment_providers: Providers = field(default_factory=lambda: Providers({}))


def control_plane_tasks(deps: TaskDeps) -> list[Task]:
    """Every task of the domains."""
    database, redis, clock = deps.database, deps.redis, deps.clock
    return [
        *identity_tasks.tasks(database, deps.mailer, deps.master_key, deps.console_url, clock),
        *tenants_tasks.tasks(database, redis, deps.mailer, deps.master_key, deps.console_url, clock),
        *plans_tasks.tasks(database, redis),
        *keys_tasks.tasks(database, redis),
        *models_tasks.tasks(database, redis, deps.master_key),
        *pricing_tasks.tasks(database, redis),
        *billing_tasks.tasks(database, deps.mailer, clock),
        *budgets_tasks.tasks(database, redis, deps.mailer, clock),
        *payments_tasks.tasks(database, deps.payment_providers, clock),
    ]
