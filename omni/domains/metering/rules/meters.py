"""What a meter may look like, and what usage of it may be asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from omni.domains.metering.contracts import Meter
from omni.kit.errors import InvalidInput

EVENT_DIMENSIONS = ("subject", "source", "project")
"""Dimensions that every ingested event has; other names are members of its data."""
MOST_DIMENSIONS = 10
MOST_FILTER_VALUES = 100
PLATFORM_TYPES = "omni."

_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*){0,4}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_WITHOUT_VALUE = ("count", "unique")


def property_path(name: str) -> list[str]:
    """`"request.size"` → `["request", "size"]`."""
    return name.split(".")


def check_definition(meter: Meter) -> None:
    """Raises InvalidInput when a meter contradicts itself; the message says what to change."""
    if not _CODE.fullmatch(meter.code) or meter.code.endswith("_nanos"):
        raise InvalidInput(
            "invalid_meter",
            "A code is lower-case letters, digits and _, begins with a letter and does not end in _nanos.",
            param="code",
        )
    if not meter.event_type or meter.event_type.startswith(PLATFORM_TYPES):
        raise InvalidInput(
            "invalid_meter",
            "The event type is what events carry in `type`; those that begin with omni. are taken.",
            param="event_type",
        )
    _check_properties(meter)
    _check_names(meter.dimensions, "dimensions")
    _check_names(meter.filters, "filters")
    for values in meter.filters.values():
        if not 1 <= len(values) <= MOST_FILTER_VALUES:
            raise InvalidInput("invalid_meter", f"A filter has 1 to {MOST_FILTER_VALUES} values.", param="filters")


def _check_properties(meter: Meter) -> None:
    wants_value, wants_unique = meter.aggregation not in _WITHOUT_VALUE, meter.aggregation == "unique"
    for name, value, wanted in (
        ("value_property", meter.value_property, wants_value),
        ("unique_property", meter.unique_property, wants_unique),
    ):
        if wanted and (value is None or not _PROPERTY.fullmatch(value)):
            raise InvalidInput(
                "invalid_meter",
                f"A meter of {meter.aggregation} needs `{name}`: a member of the data, e.g. bytes or request.bytes.",
                param=name,
            )
        if not wanted and value is not None:
            raise InvalidInput(
                "invalid_meter", f"A meter of {meter.aggregation} has no `{name}`: leave it out.", param=name
            )


def _check_names(names: Iterable[str], param: str) -> None:
    given = list(names)
    if len(given) > MOST_DIMENSIONS or len(set(given)) != len(given) or not all(map(_PROPERTY.fullmatch, given)):
        raise InvalidInput(
            "invalid_meter",
            f"At most {MOST_DIMENSIONS} different names: subject, source, project or members of the data.",
            param=param,
        )


def check_question(meter: Meter, filters: Mapping[str, Sequence[str]], group_by: Sequence[str]) -> None:
    """Raises InvalidInput `unknown_dimension` for a name that the meter does not have, or one that comes twice."""
    unknown = [name for name in (*filters, *group_by) if name not in meter.dimensions]
    if unknown or len(set(group_by)) != len(group_by):
        known = ", ".join(meter.dimensions) or "none"
        raise InvalidInput(
            "unknown_dimension",
            f"Usage of {meter.code} can be grouped and filtered by these, each once: {known}.",
            param=unknown[0] if unknown else "group_by",
        )


def parse_cursor(cursor: str | None) -> tuple[int, UUID] | None:
    """Unix microseconds and id behind which to go on. Raises InvalidInput `invalid_cursor`."""
    if cursor is None:
        return None
    micros, _, identifier = cursor.partition(".")
    try:
        return int(micros), UUID(identifier)
    except ValueError:
        raise InvalidInput(
            "invalid_cursor", "Give the cursor of the last event that you got, as it was.", param="after"
        ) from None
