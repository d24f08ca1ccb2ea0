"""Benchmarks: what the platform reaches on this machine, against the bars that it has to meet."""

from __future__ import annotations

from typing import TypedDict


class Bar(TypedDict):
    """One figure and what it has to reach; `bar` is None for figures that are only shown."""

    name: str
    value: float
    unit: str
    bar: float | None
    met: bool
