"""What other domains and the composition roots may use of billing."""

from __future__ import annotations

from omni.domains.billing.repository.figures import invoice_counts, overdue_invoices, revenue
from omni.domains.billing.repository.invoices import list_newest
from omni.domains.billing.service.checks import verify_numbers, verify_tenant
from omni.domains.billing.service.choosing import choose_plan
from omni.domains.billing.service.document import load_document
from omni.domains.billing.service.dunning import after_payment
from omni.domains.billing.service.issuing import finalise, find, record_payment
from omni.domains.billing.service.previewing import Upcoming, upcoming_invoice
from omni.domains.billing.service.profiles import buyer_of, save_entity, save_profile, seller_of, start_clock
from omni.domains.billing.service.running import bill_tenant, bill_until_now, find_due
from omni.domains.billing.service.sandbox import advance
from omni.domains.billing.service.service_credits import charges, credit_notes, plan_at_end
from omni.domains.billing.service.service_credits import issue as issue_service_credit
from omni.domains.billing.service.usage_account import usage_account

__all__ = [
    "Upcoming",
    "advance",
    "after_payment",
    "bill_tenant",
    "bill_until_now",
    "buyer_of",
    "charges",
    "choose_plan",
    "credit_notes",
    "finalise",
    "find",
    "find_due",
    "invoice_counts",
    "issue_service_credit",
    "list_newest",
    "load_document",
    "overdue_invoices",
    "plan_at_end",
    "record_payment",
    "revenue",
    "save_entity",
    "save_profile",
    "seller_of",
    "start_clock",
    "upcoming_invoice",
    "usage_account",
    "verify_numbers",
    "verify_tenant",
]
