"""What other domains and the composition roots may use of the books."""

from __future__ import annotations

from omni.domains.ledger.rules import entries
from omni.domains.ledger.service import (
    balances,
    booked,
    capture,
    expire_holds,
    find,
    hold,
    post,
    release,
    reverse,
    transactions,
    verify,
)

__all__ = [
    "balances", "booked", "capture", "entries", "expire_holds", "find", "hold", "post", "release", "reverse",
    "transactions", "verify",
]  # fmt: skip
