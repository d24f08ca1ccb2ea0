"""In which order the credit of a wallet is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from omni.domains.pricing.contracts import Take, WalletGrant


def burn_down(grants: Sequence[WalletGrant], need_nanos: int, at: datetime) -> list[Take]:
    """What is taken from which grant to pay `need_nanos` at an instant, as far as the credit goes.

    The lowest priority number first, then what expires soonest (what never does comes last), then the oldest, then by
    id. A grant counts from `granted_at` on and before `expires_at`. Raises ValueError for a negative need.
    """
    if need_nanos < 0:
        raise ValueError("need_nanos must not be negative")
    usable = [
        grant
        for grant in grants
        if grant.granted_at <= at and (grant.expires_at is None or at < grant.expires_at) and grant.remaining_nanos > 0
    ]
    takes = []
    for grant in sorted(usable, key=_order):
        nanos = min(grant.remaining_nanos, need_nanos)
        if nanos == 0:
            break
        takes.append(Take(grant.grant_id, nanos))
        need_nanos -= nanos
    return takes


def _order(grant: WalletGrant) -> tuple[int, bool, datetime, datetime, str]:
    return (
        grant.priority,
        grant.expires_at is None,
        grant.expires_at or grant.granted_at,
        grant.granted_at,
        str(grant.grant_id),
    )
