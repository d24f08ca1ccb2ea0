"""What members choose themselves: a plan on offer, and whether to try it first."""

from __future__ import annotations

from datetime import datetime

from omni.domains.billing.contracts import Subscription
from omni.domains.billing.repository import subscriptions
from omni.domains.billing.service import subscribing
from omni.domains.billing.service.profiles import profile_of
from omni.domains.billing.service.terms import newest_terms
from omni.domains.plans import facade as plans
from omni.domains.pricing import facade as pricing
from omni.domains.tenants import facade as tenants
from omni.domains.tenants.contracts import Tenant
from omni.foundation.db.sessions import WriteSession
from omni.kit.errors import Conflict, InvalidInput


async def subscribe(
    session: WriteSession, plan_code: str, now: datetime, seats: int, trial_days: int | None
) -> Subscription:
    """Begins a subscription, with the plan's trial or a shorter one; a tenant tries once.

    Raises Unprocessable `unknown_plan`, InvalidInput `trial_too_long`, Conflict `subscription_exists`, NotConfigured.
    """
    await plans.require_plan(session, plan_code, public_only=True)
    terms = await newest_terms(session, plan_code, (await profile_of(session)).currency)
    tried = any(each.trial_ends_at is not None for each in await subscriptions.list_all(session))
    most = 0 if tried else terms.trial_days
    if trial_days is not None and trial_days > most:
        raise InvalidInput("trial_too_long", f"The trial can be {most} days at most.", param="trial_days")
    return await subscribing.start(session, plan_code, now, seats, most if trial_days is None else trial_days)


async def choose_plan(session: WriteSession, plan_code: str, now: datetime) -> Tenant:
    """Puts the tenant, and the subscription that it has, on a plan that costs nothing.

    Raises Unprocessable `unknown_plan`, Conflict `plan_has_price`, `subscription_state`.
    """
    await plans.require_plan(session, plan_code, public_only=True)
    current = await subscriptions.current(session, lock=True)
    if current is None:
        await tenants.lock_tenant(session)  # or the billing run subscribes it to the old plan meanwhile
        current = await subscriptions.current(session, lock=True)
    if current is not None and current.plan_code == plan_code:
        return await tenants.change_plan(session, plan_code)
    if await pricing.has_price(session, plan_code):
        call = "subscriptions" if current is None else "subscription/change"
        raise Conflict(
            "plan_has_price", f"The plan has a price: choose it with POST /api/tenants/{{tenant_id}}/{call}."
        )
    if current is None:
        return await tenants.change_plan(session, plan_code)
    await subscribing.change_plan(session, plan_code, None, (await profile_of(session)).test_clock or now)
    return await tenants.get_tenant(session)
