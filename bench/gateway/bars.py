"""One figure of a benchmark with what it has to be."""

from __future__ import annotations

from typing import Any


def bar(name: str, value: float, unit: str, wanted: float | None, *, at_least: bool) -> dict[str, Any]:
    """`wanted` is None for a figure that is only shown."""
    met = wanted is None or (value >= wanted if at_least else value <= wanted)
    return {"name": name, "value": round(value, 3), "unit": unit, "bar": wanted, "met": met}
