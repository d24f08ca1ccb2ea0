"""What other domains and the composition roots may use of payments."""

from __future__ import annotations

from omni.domains.payments.rules import PaymentState, apply, reduce
from omni.domains.payments.service import Providers

__all__ = ["PaymentState", "Providers", "apply", "reduce"]
