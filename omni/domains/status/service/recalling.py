"""What was seen of components in a time that is over or running, from the probes themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from omni.domains.status.contracts import Component, Record
from omni.domains.status.repository.incidents import IncidentStore
from omni.domains.status.repository.probes import ProbeHistory
from omni.domains.status.rules import BELIEVED_FOR, UPTIME_DAYS, Watch
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, NotFound

LONGEST = timedelta(days=32)
_PIECE = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class RecallService:
    """Reads a day at a time, so that the page answers in between."""

    def __init__(
        self, components: Sequence[Component], history: ProbeHistory, incidents: IncidentStore, clock: Clock
    ) -> None:
        self._known = {component.component_id for component in components}
        self._history = history
        self._incidents = incidents
        self._clock = clock

    async def recall(self, component_ids: Sequence[str], start: datetime, end: datetime) -> Record:
        """What was seen in [start, end), or until now where that is earlier; outages by component, then time.

        Raises NotFound `component_not_found`; InvalidInput `recall_period` for more than 32 days, an end before the
        start, or a time whose probes are not kept any more.
        """
        missing = next((each for each in component_ids if each not in self._known), None)
        if missing is not None:
            raise NotFound("component_not_found", f"The status page has no component {missing[:100]}.")
        now = self._clock.now()
        if not timedelta(0) <= end - start <= LONGEST or start < now - timedelta(days=UPTIME_DAYS):
            raise InvalidInput(
                "recall_period",
                f"Ask for at most {LONGEST.days} days, the start first, within the last {UPTIME_DAYS} days.",
                param="from",
            )
        end = max(start, min(end, now))
        watches = [await self._watch(each, start, end) for each in component_ids]
        return Record(
            tuple(stretch for watch in watches for stretch in watch.outages),
            tuple(stretch for watch in watches for stretch in watch.maintenances),
            tuple(self._incidents.touching(component_ids, start, end)),
            {
                each: (end - start - watch.watched) // _MICROSECOND
                for each, watch in zip(component_ids, watches, strict=True)
            },
        )

    async def _watch(self, component_id: str, start: datetime, end: datetime) -> Watch:
        watch, piece = Watch(component_id, start, end), start - BELIEVED_FOR
        while piece < end:
            for probe in self._history.between(component_id, piece, min(piece + _PIECE, end)):
                watch.see(probe)
            piece += _PIECE
            await asyncio.sleep(0)
        watch.finish()
        return watch
