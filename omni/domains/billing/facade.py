"""What other domains and the composition roots may use of billing."""

from __future__ import annotations

from omni.domains.billing.service.checks import verify_numbers, verify_tenant
from omni.domains.billing.service.document import document_of
from omni.domains.billing.service.draft import draft_invoice, verify_draft
from omni.domains.billing.service.dunning import after_payment
from omni.domains.billing.service.issuing import finalise, find, record_payment
from omni.domains.billing.service.profiles import save_entity
from omni.domains.billing.service.running import bill_tenant, find_due
from omni.domains.billing.service.sandbox import advance

__all__ = [
    "advance",
    "after_payment",
    "bill_tenant",
    "document_of",
    "draft_invoice",
    "finalise",
    "find",
    "find_due",
    "record_payment",
    "save_entity",
    "verify_draft",
    "verify_numbers",
    "verify_tenant",
]
