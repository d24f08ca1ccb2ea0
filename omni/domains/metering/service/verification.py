"""Whether the rollups equal their events."""

from __future__ import annotations

from omni.domains.metering.contracts import Difference, Meter
from omni.domains.metering.repository import meters, recounting
from omni.domains.metering.repository import stream as repository
from omni.foundation.db.sessions import SystemSession


async def verify(session: SystemSession) -> list[Difference]:
    """Rollups that do not equal their events, of the gateway and ingested, and events that could not be read."""
    found = [
        Difference(
            "events = rollups",
            row["tenant_id"],
            f"{row['meter']} in the quarter {row['starts_at']:%Y-%m-%d %H:%M}",
            row["from_events"],
            row["rolled_up"],
        )
        for row in await repository.events_against_rollups(session)
    ]
    rejects = await repository.count_rejects(session)
    if rejects:
        found.append(Difference("every event can be read", None, "rejected usage events", rejects, 0))
    return found + await _verify_ingested(session)


async def _verify_ingested(session: SystemSession) -> list[Difference]:
    found = []
    for meter in await meters.operator_meters(session):
        if meter.rolled_up:
            found += [
                Difference(
                    "ingested events = rollups",
                    row["tenant_id"],
                    f"{meter.code} in the quarter {row['starts_at']:%Y-%m-%d %H:%M}",
                    row["from_events"],
                    row["rolled_up"],
                )
                for row in await recounting.rollup_differences(session, meter)
            ]
            if meter.aggregation == "unique":
                found += await _verify_values(session, meter)
    return found


async def _verify_values(session: SystemSession, meter: Meter) -> list[Difference]:
    found = [
        Difference(
            "values of ingested events = sets of values",
            row["tenant_id"],
            f"{meter.code} in the quarter {row['starts_at']:%Y-%m-%d %H:%M}: values that only one side has",
            row["only_events"],
            row["only_sets"],
        )
        for row in await recounting.set_differences(session, meter)
    ]
    found += [
        Difference("each value has a number of its own", row["tenant_id"], meter.code, row["values"], row["ordinals"])
        for row in await recounting.ordinal_differences(session, meter.code)
    ]
    return found
