"""Filters on the metadata of documents: read and bounded here, made into SQL by `repository.filters`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from omni.kit.errors import InvalidInput

MAX_DEPTH = 5
MAX_CONDITIONS = 50
MAX_VALUES = 100
MAX_VALUE_CHARS = 1_000
MAX_INTEGER = 2**53
FIELD = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"

Scalar = str | bool | int | float
Comparison = Literal["$gt", "$gte", "$lt", "$lte"]
_FIELD = re.compile(FIELD)
_COMPARISONS: tuple[Comparison, ...] = ("$gt", "$gte", "$lt", "$lte")
_OPERATORS = ("$eq", "$ne", "$in", "$nin", *_COMPARISONS, "$exists")


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field is one of the values, or a list that has one of them."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """The field is of the value's kind, number or text, and compares so with it."""

    field: str
    comparison: Comparison
    value: str | int | float


@dataclass(frozen=True, slots=True)
class Exists:
    """The document has the field."""

    field: str


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without parts, everything does."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter = OneOf | Compared | Exists | Every | Some | Not


def read_filter(given: Mapping[str, Any]) -> Filter:
    """The filter in a JSON object, as `SearchRequest.filter` describes it.

    Raises InvalidInput `invalid_filter` with the place of what is wrong.
    """
    return _Reader().every(given, "filter", 1)


class _Reader:
    """Reads one filter and counts its conditions."""

    def __init__(self) -> None:
        self._conditions = 0

    def every(self, given: Any, place: str, depth: int) -> Filter:
        if not isinstance(given, Mapping):
            raise _invalid(place, "is not an object of conditions")
        if depth > MAX_DEPTH:
            raise _invalid(place, f"is nested deeper than {MAX_DEPTH}")
        parts: list[Filter] = []
        for name, value in given.items():
            where = f"{place}.{name[:64]}"
            if name in ("$and", "$or"):
                parts.append(self._joined(name, value, where, depth))
            elif name == "$not":
                parts.append(Not(self.every(value, where, depth + 1)))
            elif _FIELD.fullmatch(name):
                parts += self._conditions_on(name, value, where)
            else:
                raise _invalid(where, "is no field (letters, digits, _ . -) and none of $and, $or, $not")
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _joined(self, name: str, value: Any, place: str, depth: int) -> Filter:
        if not isinstance(value, list) or not value:
            raise _invalid(place, "is not a list of filters with at least one")
        if len(value) > MAX_CONDITIONS:
            raise _invalid(place, f"has more than {MAX_CONDITIONS} filters")
        parts = tuple(self.every(part, f"{place}[{index}]", depth + 1) for index, part in enumerate(value))
        return Every(parts) if name == "$and" else Some(parts)

    def _conditions_on(self, field: str, given: Any, place: str) -> list[Filter]:
        if not isinstance(given, Mapping):
            given = {"$eq": given}
        if not given:
            raise _invalid(place, f"has no condition; use {', '.join(_OPERATORS)}")
        found: list[Filter] = []
        for operator, value in given.items():
            self._conditions += 1
            if self._conditions > MAX_CONDITIONS:
                raise _invalid(place, f"is one condition too many; {MAX_CONDITIONS} are allowed")
            where = f"{place}.{operator[:64]}"
            if operator not in _READERS:
                raise _invalid(where, f"is no operator; use {', '.join(_OPERATORS)}")
            found.append(_READERS[operator](field, value, where))
        return found


def _one_of(field: str, value: Any, place: str) -> Filter:
    return OneOf(field, (_scalar(value, place),))


def _in(field: str, value: Any, place: str) -> Filter:
    if not isinstance(value, Sequence) or isinstance(value, str) or not 1 <= len(value) <= MAX_VALUES:
        raise _invalid(place, f"is not a list of 1 to {MAX_VALUES} values")
    return OneOf(field, tuple(_scalar(each, place) for each in value))


def _negated(read: Callable[[str, Any, str], Filter]) -> Callable[[str, Any, str], Filter]:
    return lambda field, value, place: Not(read(field, value, place))


def _compared(comparison: Comparison) -> Callable[[str, Any, str], Filter]:
    def read(field: str, value: Any, place: str) -> Filter:
        found = _scalar(value, place)
        if isinstance(found, bool):
            raise _invalid(place, "compares with true or false; use $eq")
        return Compared(field, comparison, found)

    return read


def _exists(field: str, value: Any, place: str) -> Filter:
    if not isinstance(value, bool):
        raise _invalid(place, "is not true or false")
    return Exists(field) if value else Not(Exists(field))


_READERS: dict[str, Callable[[str, Any, str], Filter]] = {
    "$eq": _one_of,
    "$ne": _negated(_one_of),
    "$in": _in,
    "$nin": _negated(_in),
    **{comparison: _compared(comparison) for comparison in _COMPARISONS},
    "$exists": _exists,
}


def _scalar(value: Any, place: str) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    if isinstance(value, float) and value - value == 0:  # neither NaN nor infinite
        return value
    if isinstance(value, str) and len(value) <= MAX_VALUE_CHARS and _can_be_stored(value):
        return value
    raise _invalid(
        place,
        f"needs text of at most {MAX_VALUE_CHARS} characters without NUL, true, false, or a finite number (integers up "
        "to 2^53)",
    )


def _can_be_stored(value: str) -> bool:
    return "\x00" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _invalid(place: str, problem: str) -> InvalidInput:
    shown = place[:200].encode("ascii", "backslashreplace").decode("ascii")
    return InvalidInput("invalid_filter", f"{shown} {problem}.", param="filter")
