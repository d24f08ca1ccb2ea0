"""Where a meter's usage is: its rollups and its raw events, as SQL with one set of columns.

Both halves give: `at`, `g` (the group, text[]), `events`, `total`, and for ingested events `moment_total`, `largest`,
`latest`, `latest_at`, `latest_key`, `key`. Names and values are bound parameters, never part of the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omni.contracts.snapshots import Mode
from omni.domains.metering.contracts import Meter
from omni.domains.metering.rules.meters import property_path

_REQUEST_COLUMNS = {
    "model": "model", "endpoint": "endpoint", "project": "project_id::text", "key": "key_id::text",
    "status": "status::text",
}  # fmt: skip
_EVENT_COLUMNS = {"subject": "e.subject", "source": "left(e.source, 200)", "project": "e.project_id::text"}

MICROS = "(extract(epoch from occurred_at) * 1000000)"


@dataclass(slots=True)
class Source:
    """Two relations and the parameters that they name."""

    rollups: str
    """Without its period: `where … and starts_at …` is added."""
    raw: str
    """Without its period: `… and occurred_at …` is added."""
    parameters: dict[str, Any] = field(default_factory=dict)


def source_of(
    meter: Meter, tenant_id: object, mode: Mode, filters: Mapping[str, Sequence[str]], group_by: Sequence[str]
) -> Source:
    """The source of a tenant's usage of a meter in a mode."""
    made = _requests if meter.scope == "platform" else _events
    source = made(meter, filters, group_by)
    source.parameters |= {"tenant_id": tenant_id, "meter": meter.code, "mode": mode}
    return source


def _requests(_meter: Meter, filters: Mapping[str, Sequence[str]], group_by: Sequence[str]) -> Source:
    parameters: dict[str, Any] = {}
    group = _array([_REQUEST_COLUMNS[name] for name in group_by])
    where = "tenant_id = :tenant_id and mode = :mode"
    for number, (name, values) in enumerate(filters.items()):
        where += f" and {_REQUEST_COLUMNS[name]} = any(cast(:filter{number} as text[]))"
        parameters[f"filter{number}"] = list(values)
    return Source(
        f"select starts_at as at, {group} as g, events, quantity::numeric as total from usage_rollups "
        f"where {where} and meter = :meter and events > 0",
        f"select occurred_at as at, {group} as g, 1::bigint as events, (quantities ->> :meter)::numeric as total, "
        f"event_id as key, '' as source, event_id::text as id, null::numeric as price, occurred_at from usage_events "
        f"where {where} and jsonb_exists(quantities, :meter)",
        parameters,
    )


def _events(meter: Meter, filters: Mapping[str, Sequence[str]], group_by: Sequence[str]) -> Source:
    parameters: dict[str, Any] = {"type": meter.event_type}
    for number, name in enumerate(group_by):
        parameters[f"group{number}"] = name
    rolled, where = "", ""
    for number, (name, values) in enumerate(filters.items()):
        parameters |= {f"name{number}": name, f"filter{number}": list(values)}
        rolled += f" and dimensions ->> :name{number} = any(cast(:filter{number} as text[]))"
        where += f" and {_dimension(name, f'wanted{number}', parameters)} = any(cast(:filter{number} as text[]))"
    group = _array([f"dimensions ->> :group{number}" for number in range(len(group_by))])
    raw_group = _array([_dimension(name, f"path{number}", parameters) for number, name in enumerate(group_by)])
    return Source(
        f"select starts_at as at, {group} as g, events, total, moment_total, largest, latest, latest_at, latest_key, "
        f"group_id from event_rollups where tenant_id = :tenant_id and meter = :meter and mode = :mode{rolled}",
        raw_events(meter, parameters, raw_group) + " and e.tenant_id = :tenant_id and e.mode = :mode" + where,
        parameters,
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """What a meter counts of an ingested event `e`, as SQL expressions."""

    value: str
    unique: str
    has_value: str
    passes: str
    """Its filters."""


def counts(meter: Meter, parameters: dict[str, Any], prefix: str = "") -> Counts:
    """Adds what the expressions need to `parameters`, under names that begin with `prefix`."""
    value, unique, has_value = "1::numeric", "''", "true"
    if meter.aggregation == "unique":
        parameters[f"{prefix}unique_path"] = property_path(meter.unique_property or "")
        unique = f"event_text(e.data, cast(:{prefix}unique_path as text[]))"
        has_value = f"{unique} <> ''"
    elif meter.aggregation != "count":
        parameters[f"{prefix}value_path"] = property_path(meter.value_property or "")
        parameters[f"{prefix}signed"] = meter.signed
        value = f"event_quantity(e.data, cast(:{prefix}value_path as text[]), cast(:{prefix}signed as boolean))"
        has_value = f"{value} is not null"
    passes = ["true"]
    for number, (name, values) in enumerate(meter.filters.items()):
        parameters[f"{prefix}own_filter{number}"] = list(values)
        own = _dimension(name, f"{prefix}own_path{number}", parameters)
        passes.append(f"{own} = any(cast(:{prefix}own_filter{number} as text[]))")
    return Counts(value, unique, has_value, " and ".join(passes))


def raw_events(meter: Meter, parameters: dict[str, Any], group: str) -> str:
    """Events that a meter counts, one by one; adds what they need to `parameters`."""
    counted = counts(meter, parameters)
    has_value = counted.has_value if meter.aggregation == "unique" else "value is not null"
    return (
        f"select e.occurred_at as at, {group} as g, 1::bigint as events, value as total, "
        f"value * {MICROS} as moment_total, value as largest, value as latest, e.occurred_at as latest_at, "
        f'(e.id || chr(1) || e.source) collate "C" as latest_key, {counted.unique} as unique_value, e.digest as key, '
        "e.source, e.id, event_quantity(e.data, cast(array['price'] as text[]), true) as price, e.occurred_at, e.mode, "
        f"e.tenant_id from ingested_events e cross join lateral (select {counted.value} as value offset 0) as once "
        f"where e.type = :type and e.voided_at is null and {has_value} and {counted.passes}"
    )


def _dimension(name: str, parameter: str, parameters: dict[str, Any]) -> str:
    if name in _EVENT_COLUMNS:
        return _EVENT_COLUMNS[name]
    parameters[parameter] = property_path(name)
    return f"left(event_text(e.data, cast(:{parameter} as text[])), 200)"


def dimensions_object(meter: Meter, parameters: dict[str, Any]) -> str:
    """A JSON object of every dimension of the meter, of an ingested event."""
    members = []
    for number, name in enumerate(meter.dimensions):
        parameters[f"dimension{number}"] = name
        members.append(f"cast(:dimension{number} as text), {_dimension(name, f'dimension_path{number}', parameters)}")
    return f"jsonb_build_object({', '.join(members)})"


def _array(expressions: Sequence[str]) -> str:
    return f"array[{', '.join(expressions)}]::text[]"
