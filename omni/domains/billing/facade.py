"""What other domains and the composition roots may use of billing."""

from __future__ import annotations

from omni.domains.billing.service import draft_invoice, verify_draft

__all__ = ["draft_invoice", "verify_draft"]
