"""Charts as SVG paths, and figures as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import floor, log10

from omni.domains.operations.contracts import Chart, Unit

WIDTH, HEIGHT = 600, 120
_COLOURS = {"2xx": "good", "4xx": "warn", "5xx": "bad", "ok": "good", "failed": "bad", "allowed": "limit"}
_FACTORS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One line of a plot."""

    name: str
    colour: str
    """A class of the style sheet."""
    path: str
    area: str
    """The path around what is below the line; empty where nothing is filled."""
    texts: Sequence[str]
    """Its value in each slot."""
    latest: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart, ready for its template. It is `WIDTH` by `HEIGHT` units, however large it is shown."""

    code: str
    title: str
    lines: Sequence[Drawn]
    ticks: Sequence[str]
    """Values at the top, in the middle and at the bottom."""
    moments: Sequence[str]
    known: bool
    """Whether there is any value at all."""


def plot(chart: Chart) -> Plot:
    """Lines, stacked upon one another where the chart says so."""
    rows = [list(line.values) for line in chart.lines]
    shown = _stack(rows) if chart.stacked else rows
    top = ceiling(max((value for row in shown for value in row if value is not None), default=0.0), chart.unit)
    drawn = []
    below: Sequence[float | None] = [0.0] * len(chart.starts)
    for number, (line, row) in enumerate(zip(chart.lines, shown, strict=True)):
        texts = ["–" if value is None else figure(value, chart.unit) for value in line.values]
        known = [text for text in texts[-2:] if text != "–"]
        drawn.append(
            Drawn(
                line.name,
                _COLOURS.get(line.name, f"k{number % 6 + 1}"),
                _path(row, top),
                _area(row, below, top) if chart.stacked or len(rows) == 1 else "",
                texts,
                known[-1] if known else "–",
            )
        )
        below = row if chart.stacked else below
    return Plot(
        chart.code,
        chart.title,
        drawn,
        [figure(top, chart.unit), figure(top / 2, chart.unit), "0"],
        [_moment(start) for start in chart.starts],
        any(value is not None for row in rows for value in row),
    )


def ceiling(value: float, unit: Unit) -> float:
    """A round number that is at least `value`: the top of an axis."""
    if value <= 0:
        return {"per_second": 1.0, "seconds": 0.1, "bytes": 2.0**20, "number": 4.0, "ratio": 1.0}[unit]
    base = 2.0**10 if unit == "bytes" else 1.0
    scale = 1.0
    while unit == "bytes" and value / scale >= base:
        scale *= base
    power = 10.0 ** floor(log10(value / scale))
    return next(factor * power * scale for factor in _FACTORS if factor * power * scale >= value * (1 - 1e-12))


def figure(value: float, unit: Unit) -> str:
    """A value with its unit, in three digits."""
    if unit == "seconds":
        return _digits(value * 1000, "ms") if value < 1 else _digits(value, "s")
    if unit == "bytes":
        for name in ("B", "KiB", "MiB", "GiB"):
            if value < 1024:
                return _digits(value, name)
            value /= 1024
        return _digits(value, "TiB")
    if unit == "ratio":
        return f"{value * 100:.3g}\u2009%"
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{name}" + ("/s" if unit == "per_second" else "")
    digits = f"{value:.3g}" if value >= 0.1 else f"{value:.2g}"
    return digits + ("/s" if unit == "per_second" else "")


def _digits(value: float, unit: str) -> str:
    return f"{value:.0f}\u2009{unit}" if value >= 100 else f"{value:.3g}\u2009{unit}"


def _moment(start: datetime) -> str:
    return f"{start:%d %b %H:%M}"


def _stack(rows: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    stacked: list[list[float | None]] = []
    for row in rows:
        before = stacked[-1] if stacked else [0.0] * len(row)
        stacked.append(
            [None if value is None else value + (under or 0.0) for value, under in zip(row, before, strict=True)]
        )
    return stacked


def _points(row: Sequence[float | None], top: float) -> list[list[tuple[float, float]]]:
    """The runs of known values; a single one is drawn as wide as its slot."""
    step = WIDTH / max(len(row) - 1, 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(row):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((number * step, HEIGHT - min(value / top, 1.0) * HEIGHT))
    found = [run for run in runs if run]
    return [
        run if len(run) > 1 else [(max(run[0][0] - step / 2, 0.0), run[0][1]), (run[0][0] + step / 2, run[0][1])]
        for run in found
    ]


def _path(row: Sequence[float | None], top: float) -> str:
    return "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run) for run in _points(row, top))


def _area(row: Sequence[float | None], below: Sequence[float | None], top: float) -> str:
    """Between two lines, slot by slot, so that gaps stay open."""
    step = WIDTH / max(len(row) - 1, 1)
    parts = []
    pairs = list(zip(row, below, strict=True))
    for number, ((left, left_below), (right, right_below)) in enumerate(pairwise(pairs)):
        if left is None or right is None:
            continue
        x1, x2 = number * step, (number + 1) * step
        corners = ((x1, left), (x2, right), (x2, right_below or 0.0), (x1, left_below or 0.0))
        parts.append("M" + "L".join(f"{x:.1f} {HEIGHT - min(y / top, 1.0) * HEIGHT:.1f}" for x, y in corners) + "Z")
    return "".join(parts)
