"""Jobs of the budgets domain."""

from __future__ import annotations

from redis.asyncio import Redis

from omni.domains.budgets.contracts import StoredBudget
from omni.domains.budgets.repository import budgets as repository
from omni.domains.budgets.service import budgets as service
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import Database
from omni.foundation.mail import Mail, Mailer
from omni.foundation.outbox.messages import first_time
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.clock import Clock


def tasks(database: Database, redis: Redis, mailer: Mailer, clock: Clock) -> list[Task]:
    """`budgets.publish_money(tenant_id)`, `budgets.send_alert(tenant_id, budget_id, percent, period)`."""

    async def publish_money(delivery: Delivery) -> None:
        async with database.read(delivery.uuid("tenant_id")) as session:
            await service.publish_money(session, redis)

    async def send_alert(delivery: Delivery) -> None:
        """Mails the owners, once."""
        percent, period = delivery.args["percent"], delivery.args["period"]
        async with database.write(delivery.uuid("tenant_id")) as session:
            budgets = {budget.budget_id: budget for budget in await repository.all_budgets(session)}
            budget = budgets.get(delivery.uuid("budget_id"))
            if budget is None or not await first_time(session, delivery.message_id):
                return
            spent = await service.spent(session, budget, clock.now())
            for position, email in enumerate(await tenants.owner_emails(session)):
                text = _text(budget, percent, spent) + f"\nPeriod: {period}\n"
                subject = f"{percent} % of a budget is spent"
                await mailer.send(Mail(f"{delivery.message_id}-{position}", email, subject, text))

    return [Task(service.PUBLISH_MONEY, publish_money), Task(service.SEND_ALERT, send_alert)]


def _text(budget: StoredBudget, percent: int, spent_nanos: int) -> str:
    what = "Requests beyond it are refused." if budget.hard else "It is watched only: nothing is refused."
    return (
        f"Spending has come to {percent} % of a budget of your {budget.scope}:\n"
        f"{_units(spent_nanos)} of {_units(budget.limit_nanos)} are spent.\n\n{what}\n"
    )


def _units(nanos: int) -> str:
    whole, rest = divmod(nanos, 10**9)
    return f"{whole}.{rest // 10**7:02d}"
