"""`python -m bench.growth`: draws docs/growth.svg, how metering and billing grow with ten times the events.

From bench/results/metering.json and billing.json: rows with `plot` (which curve) and `events` (where on it).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from bench.__main__ import RESULTS

OUTPUT = Path(__file__).parent.parent / "docs" / "growth.svg"
PLOTS = {
    "drain": "Stream → PostgreSQL, events/s",
    "ingest": "POST /v1/events, events/s",
    "visible": "Event → visible in usage, p99, s",
    "query": "Usage query by meter, p95, s",
    "overview": "Every meter at once, p95, s",
    "hours": "Hours of a month by group, p95, s",
    "run": "Invoice run of 1,000 tenants, s",
    "preview": "Invoice preview, p95, ms",
}
COLUMNS, WIDTH, HEIGHT, MARGIN = 4, 250, 190, 34


def main() -> None:
    rows = [
        row
        for name in ("metering", "billing")
        for row in json.loads((RESULTS / f"{name}.json").read_text())["bars"]
        if "plot" in row
    ]
    missing = PLOTS.keys() - {row["plot"] for row in rows}
    if missing:
        raise SystemExit(f"Run make bench-metering and make bench-billing first: no {', '.join(sorted(missing))}.")
    OUTPUT.write_text("\n".join(_drawing(rows)) + "\n")


def _drawing(rows: list[dict[str, Any]]) -> Iterator[str]:
    width, height = COLUMNS * WIDTH, -(-len(PLOTS) // COLUMNS) * HEIGHT
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" '
        'font-size="11" fill="#1c2430">'
    )
    yield "<title>Metering and billing with ten times the events</title>"
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    for number, (plot, title) in enumerate(PLOTS.items()):
        points = sorted((row for row in rows if row["plot"] == plot), key=lambda row: row["events"])
        yield f'<g transform="translate({number % COLUMNS * WIDTH} {number // COLUMNS * HEIGHT})">'
        yield from _panel(title, points)
        yield "</g>"
    yield "</svg>"


def _panel(title: str, points: list[dict[str, Any]]) -> Iterator[str]:
    bar = points[-1]["bar"]
    largest = 1.15 * max(*(point["value"] for point in points), bar or 0)
    first, last = (math.log10(points[end]["events"]) for end in (0, -1))

    def place(events: int, value: float) -> tuple[float, float]:
        share = (math.log10(events) - first) / (last - first or 1)
        return (
            MARGIN + 20 + share * (WIDTH - 2 * MARGIN - 40),
            HEIGHT - MARGIN - value / largest * (HEIGHT - 2 * MARGIN - 14),
        )

    base, right = HEIGHT - MARGIN, WIDTH - MARGIN
    yield f'<text x="{MARGIN}" y="20" font-weight="600">{escape(title)}</text>'
    yield f'<path d="M{MARGIN} {base}H{right}" stroke="#c3c9d2" fill="none"/>'
    level = -math.inf
    if bar is not None:
        level = place(points[0]["events"], bar)[1]
        yield f'<path d="M{MARGIN} {level:.1f}H{right}" stroke="#b4232a" stroke-dasharray="4 3" fill="none"/>'
        yield f'<text x="{WIDTH / 2}" y="{level - 4:.1f}" text-anchor="middle" fill="#b4232a">bar {bar:,}</text>'
    places = [place(point["events"], point["value"]) for point in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" stroke="#2456c7" stroke-width="2" fill="none"/>'
    for point, (x, y) in zip(points, places, strict=True):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#2456c7"/>'
        below = level - 4 < y < level + 24  # above the point the text would touch the bar
        yield f'<text x="{x:.1f}" y="{y + (16 if below else -8):.1f}" text-anchor="middle">{point["value"]:,}</text>'
        size = f"{_short(point['events'])} events"
        yield f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle" fill="#5b6676">{size}</text>'


def _short(events: int) -> str:
    return f"{events / 1e6:g} M" if events >= 1_000_000 else f"{events:,}"


if __name__ == "__main__":
    main()
