"""SQL of ingested events: adding them and their rollups, voiding, counting what was rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, text

from omni.contracts.snapshots import Mode
from omni.domains.metering.repository import unique_sets
from omni.domains.metering.repository.unique_sets import Seen
from omni.domains.metering.rules.counting import DECIMALS, Batch, RollupKey
from omni.domains.metering.rules.events import REMEMBERED, Event
from omni.foundation.db.sessions import WriteSession

_ADD = text("""
    with given as (
        select encode(digest, 'hex')::uuid as digest, occurred_at, (cast(:types as text[]))[head] as type,
               (cast(:sources as text[]))[head] as source, id, (cast(:subjects as text[]))[head] as subject,
               data::jsonb as data, number <> all(cast(:not_counted as bigint[])) as counted, number
        from unnest(cast(:digests as bytea[]), cast(:moments as timestamptz[]), cast(:heads as int[]),
                    cast(:ids as text[]), cast(:data as text[]))
            with ordinality as given (digest, occurred_at, head, id, data, number)),
    fresh as (
        insert into event_keys as known (tenant_id, digest, occurred_at, seen_at)
        select :tenant_id, digest, occurred_at, :now from given
        on conflict (tenant_id, digest) do update set occurred_at = excluded.occurred_at, seen_at = excluded.seen_at
        where known.seen_at < :forgotten
        returning digest),
    stored as (
        insert into ingested_events (tenant_id, occurred_at, digest, mode, type, source, id, subject, project_id, data,
                                     counted, received_at)
        select :tenant_id, occurred_at, digest, :mode, type, source, id, subject, :project_id, data, counted, :now
        from given join fresh using (digest))
    select number from given where not exists (select 1 from fresh where fresh.digest = given.digest)
""")

_ADD_TO_ROLLUPS = text("""
    insert into event_rollups as r (tenant_id, meter, mode, starts_at, group_id, dimensions, events, total,
                                    moment_total, largest, latest, latest_at, latest_key)
    select :tenant_id, meter, :mode, starts_at, md5(dimensions::text)::uuid, dimensions, events, total, moment_total,
           largest, latest, latest_at, latest_key
    from unnest(
        cast(:meters as text[]), cast(:starts as timestamptz[]), cast(:dimensions as jsonb[]),
        cast(:events as bigint[]), cast(:totals as numeric[]), cast(:moment_totals as numeric[]),
        cast(:largest as numeric[]), cast(:latest as numeric[]), cast(:latest_at as timestamptz[]),
        cast(:latest_keys as text[]))
        as given (meter, starts_at, dimensions, events, total, moment_total, largest, latest, latest_at, latest_key)
    on conflict (tenant_id, meter, mode, starts_at, group_id) do update set
        events = r.events + excluded.events, total = r.total + excluded.total,
        moment_total = r.moment_total + excluded.moment_total, largest = greatest(r.largest, excluded.largest),
        latest = case when (excluded.latest_at, excluded.latest_key) > (r.latest_at, r.latest_key)
                 then excluded.latest else r.latest end,
        latest_key = case when (excluded.latest_at, excluded.latest_key) > (r.latest_at, r.latest_key)
                     then excluded.latest_key else r.latest_key end,
        latest_at = greatest(r.latest_at, excluded.latest_at)
""")

_VOID = text("""
    update ingested_events e set voided_at = coalesce(e.voided_at, :now)
    from event_keys k
    where k.tenant_id = :tenant_id and k.digest = any(cast(:digests as uuid[])) and k.seen_at >= :forgotten
      and (e.tenant_id, e.occurred_at, e.digest) = (k.tenant_id, k.occurred_at, k.digest)
    returning e.digest, e.type, e.occurred_at, e.voided_at = :now as now_voided
""")

_COUNT_PROBLEMS = text("""
    insert into ingest_problems as p (tenant_id, day, code, type, events, sample)
    select :tenant_id, :day, code, type, events, sample
    from unnest(cast(:codes as text[]), cast(:types as text[]), cast(:events as bigint[]), cast(:samples as text[]))
        as given (code, type, events, sample)
    order by code, type
    on conflict (tenant_id, day, code, type) do update
    set events = p.events + excluded.events, sample = excluded.sample
""")


async def add(
    session: WriteSession, events: Sequence[Event], mode: Mode, project_id: UUID, now: datetime
) -> set[bytes]:
    """Adds the events that are not known yet; returns the digests of those that are. Sorted events keep two batches
    from a deadlock."""
    heads: dict[tuple[str, str, str], int] = {}
    rows = await session.execute(
        _ADD,
        {
            "tenant_id": session.tenant_id, "mode": mode, "project_id": project_id, "now": now,
            "forgotten": now - REMEMBERED,
            "digests": [event.digest for event in events],
            "moments": [event.occurred_at for event in events],
            "heads": [
                heads.setdefault((event.type, event.source, event.subject), len(heads) + 1) for event in events
            ],
            "ids": [event.id for event in events],
            "data": [event.data_json for event in events],
            "not_counted": [number for number, event in enumerate(events, 1) if not event.counted],
            "types": [kind for kind, _, _ in heads],
            "sources": [source for _, source, _ in heads],
            "subjects": [subject for _, _, subject in heads],
        },
    )  # fmt: skip
    return {events[number - 1].digest for number in rows.scalars()}


async def add_to_rollups(session: WriteSession, mode: Mode, batch: Batch, names: dict[str, tuple[str, ...]]) -> None:
    """Adds a batch. `names` has the dimensions of each meter. Rows are locked in one order."""
    if not batch.rollups:
        return
    rows = sorted(batch.rollups.items())
    keys = [key for key, _ in rows]
    rollups = [rollup for _, rollup in rows]
    await session.execute(
        _ADD_TO_ROLLUPS,
        {
            "tenant_id": session.tenant_id, "mode": mode,
            "meters": [meter for meter, _, _ in keys],
            "starts": [starts_at for _, starts_at, _ in keys],
            "dimensions": [_dimensions(names[meter], group) for meter, _, group in keys],
            "events": [each.events for each in rollups],
            "totals": [_numeric(each.total) for each in rollups],
            "moment_totals": [_numeric(each.moment_total) for each in rollups],
            "largest": [_numeric(each.largest) for each in rollups],
            "latest": [_numeric(each.latest) for each in rollups],
            "latest_at": [each.latest_at for each in rollups],
            "latest_keys": [each.latest_key for each in rollups],
        },
    )  # fmt: skip
    for meter, found in groupby(sorted(batch.uniques.items()), key=_meter):
        seen = [Seen(at, _dimensions(names[meter], group), values) for (_, at, group), values in found]
        await unique_sets.add(session, mode, meter, seen)


async def void(session: WriteSession, digests: Sequence[bytes], now: datetime) -> Sequence[RowMapping]:
    """Voids what is known of them: digest, type, occurred_at and whether it was not voided before."""
    parameters = {
        "tenant_id": session.tenant_id, "digests": [UUID(bytes=digest) for digest in digests], "now": now,
        "forgotten": now - REMEMBERED,
    }  # fmt: skip
    return await session.all(_VOID, parameters)


async def count_problems(session: WriteSession, day: date, problems: dict[tuple[str, str], tuple[int, str]]) -> None:
    """Adds to the day's count of rejected events: (code, type) → how many, and one of them."""
    parameters = {
        "tenant_id": session.tenant_id, "day": day,
        "codes": [code for code, _ in problems], "types": [kind for _, kind in problems],
        "events": [count for count, _ in problems.values()], "samples": [sample for _, sample in problems.values()],
    }  # fmt: skip
    await session.execute(_COUNT_PROBLEMS, parameters)


def _meter(item: tuple[RollupKey, set[str]]) -> str:
    return item[0][0]


def _dimensions(names: tuple[str, ...], group: tuple[str, ...]) -> str:
    return orjson.dumps(dict(zip(names, group, strict=True))).decode()


def _numeric(scaled: int) -> Decimal:
    return Decimal(f"{scaled}e-{DECIMALS}")
