"""All meters of requests at once: one question where `measure` would ask one for each meter."""

from __future__ import annotations

from datetime import datetime

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Measured
from omni.domains.metering.repository import measuring as repository
from omni.domains.metering.rules.aggregating import assemble
from omni.domains.metering.rules.periods import cut
from omni.foundation.db.sessions import ReadSession


async def request_totals(
    session: ReadSession, start: datetime, end: datetime, mode: Mode = "live", *, from_events: bool = False
) -> dict[str, Measured]:
    """What `measure` says of each of the platform's meters in [start, end), ungrouped, by meter; meters that were not
    used, and those of money, are left out. `start` must be before `end`.

    With `from_events`, from the raw events alone, as `recount`.
    """
    bounds = (start, end)
    parts = await repository.request_parts(session, mode, cut(bounds, rolled_up=not from_events))
    found = assemble("sum", bounds, ("meter",), parts)
    return {each.dimensions[0][1]: Measured((), each.quantity, each.events) for each in found}
