"""What other domains and the composition roots may use of payments."""

from __future__ import annotations

from omni.domains.payments.repository import payment_counts, webhook_counts
from omni.domains.payments.rules import PaymentState, apply, reduce
from omni.domains.payments.service.charges import (
    MONEY_MOVED,
    get_payment,
    list_payments,
    request_payment,
    request_refund,
)
from omni.domains.payments.service.deposits import StoredDeposits, Watcher, watch_deposits
from omni.domains.payments.service.methods import list_methods
from omni.domains.payments.service.providers import Providers
from omni.domains.payments.service.reconcile import Mismatch, reconcile
from omni.domains.payments.service.webhooks import Intake

__all__ = [
    "MONEY_MOVED",
    "Intake",
    "Mismatch",
    "PaymentState",
    "Providers",
    "StoredDeposits",
    "Watcher",
    "apply",
    "get_payment",
    "list_methods",
    "list_payments",
    "payment_counts",
    "reconcile",
    "reduce",
    "request_payment",
    "request_refund",
    "watch_deposits",
    "webhook_counts",
]
