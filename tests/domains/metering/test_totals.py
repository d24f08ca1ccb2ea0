"""All meters at once say what each says by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from omni.contracts.usage import METERS
from omni.domains.metering import facade as metering
from omni.testing.control_plane import ControlPlane
from omni.testing.usage import usage_event
from tests.domains.people import People

START = datetime(2026, 3, 1, tzinfo=UTC)


async def test_totals_are_those_of_each_meter(plane: ControlPlane, people: People) -> None:
    """Also where the bounds cut a quarter of an hour in two, and without usage."""
    owner = await people.owner()
    async with plane.database.shared() as session:
        await metering.seed_meters(session)
    events = [
        usage_event(
            owner.tenant_id, START + timedelta(minutes=11 * number), "test" if number % 5 == 0 else "live",
            requests=1, spend_nanos=9, **({"input_tokens": number} if number % 2 else {"pages": 3 * number}),
        )
        for number in range(60)
    ]  # fmt: skip
    async with plane.system_database.session() as system:
        await metering.ensure_partitions(system, datetime.now(UTC))
        await metering.record(system, events)
    minute = timedelta(minutes=1)
    spans = [(0, 700), (0, 11), (7, 8), (7, 433), (15, 30), (16, 29), (11, 12), (800, 900)]
    async with plane.database.read(owner.tenant_id) as session:
        for first, last in spans:
            start, end = START + first * minute, START + last * minute
            for mode in ("live", "test"):
                each = {
                    meter: found[0]
                    for meter in METERS
                    if (found := await metering.measure(session, meter, start, end, mode=mode))
                }
                assert await metering.request_totals(session, start, end, mode) == each, (first, last, mode)
