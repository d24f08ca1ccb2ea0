"""SQL of the different values that `unique` meters count.

Each value of a tenant's meter has a number, its ordinal: 0, 1, 2 … as they came. Those that came in a quarter of an
hour, in a group, are set as bits: bit `ordinal % SET_BITS` of chunk `ordinal / SET_BITS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from omni.contracts.snapshots import Mode
from omni.domains.metering.tables import SET_BITS
from omni.foundation.db.sessions import Session, WriteSession

EMPTY_SET = f"0::bit({SET_BITS})"
VALUE_ID = "md5({})::uuid"
_MASKS = tuple(1 << (SET_BITS - 1 - place) for place in range(SET_BITS))
"""PostgreSQL counts bits from the left."""


def ordinal_of(tenant_id: str = ":tenant_id") -> str:
    """The number of `given.value_id`, if it has one, after `Session.plan_afresh`. A sub-select for each value, so
    that no plan for a tenant that statistics do not know yet goes through all its values."""
    return (
        f"(select v.ordinal from unique_values v "
        f"where v.tenant_id = {tenant_id} and v.meter = :meter and v.value_id = given.value_id)"
    )


_GIVEN = f"""
    select {VALUE_ID.format("value")} as value_id, place
    from unnest(cast(:values as text[])) with ordinality as given (value, place)
"""

_ORDINALS = text(f"""
    select array_agg({ordinal_of()} order by place) from ({_GIVEN}) as given
""")

_LOCK_COUNTER = text("""
    insert into unique_counters as c (tenant_id, meter, next) values (:tenant_id, :meter, 0)
    on conflict (tenant_id, meter) do update set next = c.next
""")

_ADD_SETS = text(f"""
    insert into event_unique_sets as s (tenant_id, meter, mode, starts_at, group_id, chunk, bits)
    select :tenant_id, :meter, :mode, starts_at, md5(dimensions::text)::uuid, chunk, ('x' || bits)::bit({SET_BITS})
    from unnest(cast(:starts as timestamptz[]), cast(:dimensions as jsonb[]), cast(:chunks as int[]),
                cast(:bits as text[])) as given (starts_at, dimensions, chunk, bits)
    on conflict (tenant_id, meter, mode, starts_at, group_id, chunk) do update set bits = s.bits | excluded.bits
    where s.bits | excluded.bits <> s.bits
""")


class Seen(NamedTuple):
    """The values that came in a quarter of an hour, in a group."""

    starts_at: datetime
    dimensions: str
    """A JSON object."""
    values: set[str]


async def add(session: WriteSession, mode: Mode, meter: str, seen: Sequence[Seen]) -> None:
    """Adds what a batch has seen of a meter. Locks the meter's counter when there are new values, then the sets in the
    order of `seen`."""
    await session.plan_afresh()
    values = dict.fromkeys(value for each in seen for value in sorted(each.values))
    ordinals = await _ordinals(session, meter, list(values))
    rows = [row for each in seen for row in _rows(each, ordinals)]
    await session.execute(
        _ADD_SETS,
        {
            "tenant_id": session.tenant_id, "meter": meter, "mode": mode,
            "starts": [starts_at for starts_at, _, _, _ in rows],
            "dimensions": [dimensions for _, dimensions, _, _ in rows],
            "chunks": [chunk for _, _, chunk, _ in rows],
            "bits": [bits for _, _, _, bits in rows],
        },
    )  # fmt: skip


async def number_values(
    session: Session, tenant_id: UUID, meter: str, given: str, parameters: Mapping[str, Any]
) -> list[int]:
    """Numbers the values that have no number, and returns the numbers of all that are given.

    `given` is a relation of `value_id` and `place`, which is unique: the order of new numbers and of what is returned.
    One transaction at a time numbers values of a tenant's meter; who waited for it sees what it has numbered. After
    `plan_afresh`.
    """
    key = {"tenant_id": tenant_id, "meter": meter}
    await session.execute(_LOCK_COUNTER, key)
    statement = f"""
        with known as (
            select value_id, place, {ordinal_of()} as ordinal, min(place) over (partition by value_id) as first_place
            from ({given}) as given),
        numbered as materialized (
            select value_id, place, ordinal is null as fresh,
                   coalesce(ordinal, next - 1 + dense_rank() over (partition by ordinal is null order by first_place))
                       as ordinal
            from known join unique_counters on tenant_id = :tenant_id and meter = :meter),
        added as (
            insert into unique_values (tenant_id, meter, value_id, ordinal)
            select distinct cast(:tenant_id as uuid), cast(:meter as text), value_id, ordinal
            from numbered where fresh),
        advanced as (
            update unique_counters set next = greatest(next, (select max(ordinal) + 1 from numbered))
            where tenant_id = :tenant_id and meter = :meter)
        select array_agg(ordinal order by place) from numbered
    """
    return list(await session.scalar(text(statement), {**parameters, **key}) or [])


def chunk_of(ordinal: str) -> str:
    """The number of the row that a value's bit is in."""
    return f"({ordinal} / {SET_BITS})::int"


def set_of(ordinal: str) -> str:
    """The set of one value."""
    return f"set_bit({EMPTY_SET}, ({ordinal} % {SET_BITS})::int, 1)"


async def _ordinals(session: WriteSession, meter: str, values: list[str]) -> dict[str, int]:
    key = {"tenant_id": session.tenant_id, "meter": meter}
    found: list[int | None] = await session.scalar(_ORDINALS, key | {"values": values})
    ordinals = {value: ordinal for value, ordinal in zip(values, found, strict=True) if ordinal is not None}
    missing = [value for value in values if value not in ordinals]
    if missing:
        numbers = await number_values(session, session.tenant_id, meter, _GIVEN, {"values": missing})
        ordinals.update(zip(missing, numbers, strict=True))
    return ordinals


def _rows(seen: Seen, ordinals: Mapping[str, int]) -> Iterator[tuple[datetime, str, int, str]]:
    """Start, dimensions, chunk and bits in hexadecimal digits."""
    chunks: dict[int, int] = {}
    for value in seen.values:
        chunk, place = divmod(ordinals[value], SET_BITS)
        chunks[chunk] = chunks.get(chunk, 0) | _MASKS[place]
    for chunk, bits in sorted(chunks.items()):
        yield seen.starts_at, seen.dimensions, chunk, f"{bits:0{SET_BITS // 4}x}"
