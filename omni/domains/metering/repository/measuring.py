"""SQL that measures usage: whole quarters of an hour from the rollups, the rest from the raw events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Meter
from omni.domains.metering.repository.sources import Source, source_of
from omni.domains.metering.repository.unique_sets import VALUE_ID, chunk_of, ordinal_of, set_of
from omni.domains.metering.rules.aggregating import Part
from omni.domains.metering.rules.periods import Pieces
from omni.foundation.db.sessions import ReadSession


def _sums(total: str = "0::numeric", moment_total: str = "0::numeric", value: str = "0::numeric") -> str:
    return f", {total} as total, {moment_total} as moment_total, {value} as value"


_LAST = "(array_agg(latest order by latest_at desc, latest_key desc))[1]"
_TOTAL = _sums(total="sum(total)")
_COLUMNS = {
    "count": ("events", _sums()),
    "sum": ("events, total", _TOTAL),
    "average": ("events, total", _TOTAL),
    "weighted_sum": ("events, total, moment_total", _sums(total="sum(total)", moment_total="sum(moment_total)")),
    "max": ("events, largest", _sums(value="max(largest)")),
    "latest": ("events, latest, latest_at, latest_key", _sums(value=_LAST)),
    "unique": ("events", _sums()),
}
"""What is read for each aggregation, and what is made of it, as a Part has it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What usage is asked for."""

    meter: Meter
    mode: Mode = "live"
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    group_by: Sequence[str] = ()

    def source(self, tenant_id: UUID) -> Source:
        return source_of(self.meter, tenant_id, self.mode, self.filters, self.group_by)


async def parts(session: ReadSession, question: Question, pieces: Pieces) -> list[Part]:
    """What is known of each window and group, as the meter's aggregation wants it."""
    source = question.source(session.tenant_id)
    columns, sums = _COLUMNS[question.meter.aggregation]
    statement = f"""
        with parts as (
            select {_window(pieces)} as w, g, {columns} from ({source.rollups} {_ROLLUP_PERIOD}) as r
            union all
            select {_window(pieces)} as w, g, {columns} from ({source.raw}) as e
            join {_RANGES} on e.occurred_at >= f and e.occurred_at < t)
        select w, g, sum(events)::bigint as events{sums} from parts group by w, g
    """
    found = await _parts(session, statement, source.parameters | _bounds(pieces))
    if question.meter.aggregation != "unique":
        return found
    values = await _distinct(session, question, pieces)
    return [
        Part(part.window, part.group, part.events, value=values.get((part.window, part.group), part.value))
        for part in found
    ]


async def request_parts(session: ReadSession, mode: Mode, pieces: Pieces) -> list[Part]:
    """The sums of every meter of the platform; the group is the meter. Money is left out: it is not usage."""
    statement = f"""
        with parts as (
            select {_window(pieces, "starts_at")} as w, meter, events, quantity::numeric as total from usage_rollups
            where tenant_id = :tenant_id and mode = :mode and events > 0 {_ROLLUP_PERIOD}
            union all
            select {_window(pieces, "occurred_at")} as w, q.key, 1::bigint, q.value::numeric from usage_events e
            join {_RANGES} on e.occurred_at >= f and e.occurred_at < t
            cross join lateral jsonb_each_text(e.quantities) q where tenant_id = :tenant_id and mode = :mode)
        select w, array[meter]::text[] as g, sum(events)::bigint as events{_TOTAL}
        from parts where meter not like '%\\_nanos' group by w, meter
    """
    return await _parts(session, statement, {"tenant_id": session.tenant_id, "mode": mode} | _bounds(pieces))


async def _distinct(session: ReadSession, question: Question, pieces: Pieces) -> dict[tuple[int, tuple[str, ...]], Any]:
    """How many different values each window and group has. Before a meter is rolled up, its values have no numbers."""
    source = question.source(session.tenant_id)
    raw = f"""
        select {_window(pieces)} as w, g, {VALUE_ID.format("unique_value")} as value_id from ({source.raw}) as e
        join {_RANGES} on e.occurred_at >= f and e.occurred_at < t group by 1, 2, 3
    """
    await session.plan_afresh()
    if question.meter.rolled_up:
        statement = _count_bits(question, source, pieces, raw)
    else:
        statement = f"select w, g, count(*) as value from ({raw}) as seen group by w, g"
    rows = await session.all(text(statement), source.parameters | _bounds(pieces))
    return {(row["w"] - 1, tuple(row["g"])): row["value"] for row in rows}


def _count_bits(question: Question, source: Source, pieces: Pieces, raw: str) -> str:
    """The union of the rolled up sets and of the values in raw events, counted by window and group. Sets of a window
    are united before they learn the group's name, because there are many of them."""
    if question.group_by or question.filters:
        own_group = "group_id, "
        groups = f"(select distinct group_id, g from ({source.rollups} {_ROLLUP_PERIOD}) as r)"
        rolled = f"select w, g, chunk, bits from sets join {groups} as groups using (group_id)"
    else:
        own_group = ""
        rolled = "select w, array[]::text[] as g, chunk, bits from sets"
    cut_off = f"""
        union all
        select w, g, {chunk_of("ordinal")}, {set_of("ordinal")}
        from (select w, g, {ordinal_of()} as ordinal from ({raw}) as given offset 0) as numbered
    """
    return f"""
        with sets as (
            select {_window(pieces, "starts_at")} as w, {own_group}chunk, bit_or(bits) as bits from event_unique_sets
            where tenant_id = :tenant_id and meter = :meter and mode = :mode {_ROLLUP_PERIOD}
            group by w, {own_group}chunk),
        seen as ({rolled} {cut_off if pieces.raw else ""}),
        united as (select w, g, bit_or(bits) as bits from seen group by w, g, chunk)
        select w, g, sum(bit_count(bits))::bigint as value from united group by w, g
    """


async def events(
    session: ReadSession,
    question: Question,
    period: tuple[datetime, datetime],
    after: tuple[int, UUID] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Raw events that count, by time and id: at, g, total (the value), key, source, id, price; `micros` for cursors."""
    source = question.source(session.tenant_id)
    behind = "" if after is None else "and (occurred_at, key) > (to_timestamp(0) + :micros * interval '1 us', :key)"
    statement = f"""
        select *, (extract(epoch from occurred_at) * 1000000)::bigint as micros from ({source.raw}) as e
        where occurred_at >= :start and occurred_at < :end {behind}
        order by occurred_at, key limit :limit
    """
    parameters = source.parameters | {"start": period[0], "end": period[1], "limit": limit}
    if after is not None:
        parameters |= {"micros": after[0], "key": after[1]}
    await session.plan_afresh()
    return await session.all(text(statement), parameters)


_ROLLUP_PERIOD = """and starts_at >= :rollups_from and starts_at < :rollups_until
                    and starts_at <> all(cast(:skipped as timestamptz[]))"""
_RANGES = "unnest(cast(:raw_from as timestamptz[]), cast(:raw_until as timestamptz[])) as ranges (f, t)"


def _window(pieces: Pieces, column: str = "at") -> str:
    return f"width_bucket({column}, cast(:bounds as timestamptz[]))" if len(pieces.bounds) > 2 else "1"


def _bounds(pieces: Pieces) -> dict[str, Any]:
    return {
        "rollups_from": pieces.rollups_from,
        "rollups_until": pieces.rollups_until,
        "skipped": list(pieces.skipped),
        "raw_from": [start for start, _ in pieces.raw],
        "raw_until": [end for _, end in pieces.raw],
    } | ({"bounds": list(pieces.bounds)} if len(pieces.bounds) > 2 else {})


async def _parts(session: ReadSession, statement: str, parameters: dict[str, Any]) -> list[Part]:
    """Rows of w (the window, from 1), g (the group), and the other members of a Part."""
    await session.plan_afresh()
    return [
        Part(row["w"] - 1, tuple(row["g"]), row["events"], row["total"], row["moment_total"], row["value"])
        for row in await session.all(text(statement), parameters)
    ]
