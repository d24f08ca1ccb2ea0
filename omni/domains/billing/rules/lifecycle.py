"""The states of a subscription and of an invoice, and what leads from one to another."""

from __future__ import annotations

from omni.domains.billing.contracts import InvoiceStatus, SubscriptionStatus
from omni.kit.errors import Conflict

SUBSCRIPTION_STEPS: dict[SubscriptionStatus, frozenset[SubscriptionStatus]] = {
    "trialing": frozenset(("active", "paused", "cancelled")),
    "active": frozenset(("past_due", "paused", "cancelled")),
    "past_due": frozenset(("active", "suspended", "cancelled")),
    "suspended": frozenset(("active", "cancelled")),
    "paused": frozenset(("active", "cancelled")),
    "cancelled": frozenset(),
}
INVOICE_STEPS: dict[InvoiceStatus, frozenset[InvoiceStatus]] = {
    "draft": frozenset(("final", "void")),
    "final": frozenset(("paid", "void", "uncollectible")),
    "uncollectible": frozenset(("paid",)),
    "paid": frozenset(),
    "void": frozenset(),
}
RUNNING: frozenset[SubscriptionStatus] = frozenset(("active", "past_due"))
"""These use and are billed; a trial uses and is not."""


def check_subscription_step(now: SubscriptionStatus, then: SubscriptionStatus) -> None:
    """Raises Conflict `subscription_state` for a step that there is not."""
    if then not in SUBSCRIPTION_STEPS[now]:
        allowed = ", ".join(sorted(SUBSCRIPTION_STEPS[now])) or "nothing"
        raise Conflict("subscription_state", f"The subscription is {now}: it can become {allowed}, not {then}.")


def check_invoice_step(now: InvoiceStatus, then: InvoiceStatus) -> None:
    """Raises Conflict `invoice_state` for a step that there is not."""
    if then not in INVOICE_STEPS[now]:
        allowed = ", ".join(sorted(INVOICE_STEPS[now])) or "nothing"
        raise Conflict("invoice_state", f"The invoice is {now}: it can become {allowed}, not {then}.")
