"""How the requests of a tenant ended."""

from __future__ import annotations

from datetime import datetime

from omni.contracts.snapshots import Mode
from omni.domains.metering.repository import answers as repository
from omni.foundation.db.sessions import ReadSession


async def answers_by_slot(
    session: ReadSession, start: datetime, end: datetime, mode: Mode = "live"
) -> dict[datetime, tuple[int, int]]:
    """Valid and failed requests by the quarter of an hour in which they were admitted, of those in [start, end), which
    are on quarters. Quarters without requests are left out.

    *Valid* is every request that was admitted, billed or not. *Failed* are answers of 500 and above, as in the
    availability objective (deploy/slo.yaml), and requests whose gateway died before an answer (status 0).
    """
    return {row["slot"]: (row["valid"], row["failed"]) for row in await repository.by_slot(session, start, end, mode)}
