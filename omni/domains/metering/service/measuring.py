"""What was used: measurements, the events behind them, and each event as a transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import CountedEvent, Measured, Meter, Transaction, WindowMeasured
from omni.domains.metering.repository import measuring as repository
from omni.domains.metering.repository import meters as meters_repository
from omni.domains.metering.repository.measuring import Question
from omni.domains.metering.rules.aggregating import CARRIED, assemble
from omni.domains.metering.rules.meters import check_question, parse_cursor
from omni.domains.metering.rules.periods import EPOCH, cut
from omni.foundation.db.sessions import ReadSession, Session
from omni.kit.errors import InvalidInput, NotFound

Filters = Mapping[str, Sequence[str]]
EVERYTHING: Filters = MappingProxyType({})
MOST_EVENTS = 1_000
_PAGE = 5_000


async def measure(
    session: ReadSession,
    meter: str,
    start: datetime,
    end: datetime,
    *,
    filters: Filters = EVERYTHING,
    group_by: Sequence[str] = (),
    mode: Mode = "live",
) -> list[Measured]:
    """The usage of a meter by the session's tenant in [start, end), exact for any two instants, ordered by group.

    What each aggregation means is said in `rules/aggregating.py`. `filters` has the allowed values by dimension;
    `group_by` names dimensions of the meter. Groups of which nothing is known are left out, so the answer is empty when
    nothing was used. Voided events do not count. Quantities are in the meter's unit; those of `weighted_sum` are the
    mean level over the period.

    Raises NotFound `meter_not_found`, InvalidInput `unknown_dimension` or `period_empty`.
    """
    found = await measure_windows(session, meter, (start, end), filters=filters, group_by=group_by, mode=mode)
    return [Measured(each.dimensions, each.quantity, each.events) for each in found]


async def measure_windows(
    session: ReadSession,
    meter: str,
    bounds: Sequence[datetime],
    *,
    filters: Filters = EVERYTHING,
    group_by: Sequence[str] = (),
    mode: Mode = "live",
) -> list[WindowMeasured]:
    """As `measure`, for the windows between ascending bounds: by window, then group."""
    question = await _question(session, meter, bounds, filters, group_by, mode)
    return await _measured(session, question, bounds, rolled_up=question.meter.rolled_up)


async def recount(
    session: ReadSession,
    meter: str,
    bounds: Sequence[datetime],
    *,
    filters: Filters = EVERYTHING,
    group_by: Sequence[str] = (),
    mode: Mode = "live",
) -> list[WindowMeasured]:
    """As `measure_windows`, from the raw events alone: what rollups are checked against."""
    question = await _question(session, meter, bounds, filters, group_by, mode)
    return await _measured(session, question, bounds, rolled_up=False)


async def _measured(
    session: ReadSession, question: Question, bounds: Sequence[datetime], *, rolled_up: bool
) -> list[WindowMeasured]:
    found = await repository.parts(session, question, cut(bounds, rolled_up=rolled_up))
    carried = []
    if question.meter.aggregation in CARRIED and bounds[0] > EPOCH:
        carried = await repository.parts(session, question, cut((EPOCH, bounds[0]), rolled_up=rolled_up))
    return assemble(question.meter.aggregation, bounds, question.group_by, found, carried)


async def events_of(
    session: ReadSession,
    meter: str,
    start: datetime,
    end: datetime,
    *,
    filters: Filters = EVERYTHING,
    after: str | None = None,
    limit: int = 100,
) -> list[CountedEvent]:
    """Up to `limit` (at most 1,000) of the live events in [start, end) that a measurement counts, by time.

    `after` is the cursor of the last event of the page before. A state that is carried in from before the period has no
    event in it. Raises as `measure`, and InvalidInput `invalid_cursor`.
    """
    return await counted_events(session, meter, (start, end), filters, (after, limit))


async def counted_events(
    session: ReadSession,
    meter: str,
    period: tuple[datetime, datetime],
    filters: Filters,
    page: tuple[str | None, int],
    mode: Mode = "live",
) -> list[CountedEvent]:
    """As `events_of`, in either mode; `page` is the cursor to go on behind and the limit."""
    question = await _question(session, meter, period, filters, (), mode)
    after, limit = page
    rows = await repository.events(session, question, period, parse_cursor(after), max(1, min(limit, MOST_EVENTS)))
    return [
        CountedEvent(row["id"], row["source"], row["at"], row["total"], f"{row['micros']}.{row['key']}") for row in rows
    ]


async def transactions(
    session: ReadSession,
    meter: str,
    start: datetime,
    end: datetime,
    *,
    filters: Filters = EVERYTHING,
    group_by: Sequence[str] = (),
    mode: Mode = "live",
) -> AsyncIterator[Transaction]:
    """Each event in [start, end) that a meter counts, by time, with the price in its data: for percentages of each
    transaction, and for prices that come with the event. Reads in pages, so memory does not grow. Raises as `measure`.
    """
    question = await _question(session, meter, (start, end), filters, group_by, mode)
    after = None
    while rows := await repository.events(session, question, (start, end), after, _PAGE):
        for row in rows:
            dimensions = tuple(zip(group_by, row["g"], strict=True))
            yield Transaction(dimensions, row["total"], row["price"], row["id"], row["source"], row["at"])
        after = (rows[-1]["micros"], rows[-1]["key"])


async def check(session: Session, meter: str, filters: Filters, group_by: Sequence[str]) -> None:
    """Raises NotFound `meter_not_found`, InvalidInput `unknown_dimension`: what `measure` would."""
    check_question(await meter_of(session, meter), filters, group_by)


async def meter_of(session: Session, code: str) -> Meter:
    """Raises NotFound `meter_not_found`."""
    found = await meters_repository.meter(session, code)
    if found is None:
        raise NotFound("meter_not_found", "There is no such meter; see GET /api/meters.")
    return found


async def _question(
    session: ReadSession,
    meter: str,
    bounds: Sequence[datetime],
    filters: Filters,
    group_by: Sequence[str],
    mode: Mode,
) -> Question:
    asked = await meter_of(session, meter)
    check_question(asked, filters, group_by)
    _check_bounds(bounds)
    return Question(asked, mode, filters, tuple(group_by))


def _check_bounds(bounds: Sequence[datetime]) -> None:
    if any(later <= earlier for earlier, later in pairwise(bounds)):
        raise InvalidInput("period_empty", "The end must be after the start.", param="until")
