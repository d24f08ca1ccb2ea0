"""`/operations`: how the platform is, on one page, without Grafana."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from omni.domains.operations.contracts import SPANS, Overview, Process
from omni.domains.operations.rules import ROUND_SECONDS
from omni.domains.operations.service import OverviewService
from omni.kit.errors import Forbidden, Unauthenticated, Unavailable
from omni.portal.operations.traces import Traces, waterfall
from omni.portal.ui import charts
from omni.portal.ui.pages import ConsolePages
from omni.portal.ui.sessions import BrowserSessions, to_sign_in

PATH = "/operations"
FOLDER = Path(__file__).parent / "templates"
OBJECTIVE_PERCENT = 99.9
"""Of availability, as deploy/slo.yaml promises it."""
STALE_AFTER = timedelta(seconds=4 * ROUND_SECONDS)


@dataclass(frozen=True, slots=True)
class OperationsPortal:
    """Built once, at the top."""

    overview: OverviewService
    traces: Traces
    sessions: BrowserSessions
    pages: ConsolePages


def router(portal: OperationsPortal) -> APIRouter:
    """The page; whoever has not signed in is asked to."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def home() -> Response:
        return RedirectResponse(PATH, 303)

    @routes.get(PATH)
    async def page(request: Request, span: str = "1h") -> Response:
        try:
            user = await portal.sessions.operator(request)
        except Unauthenticated:
            return to_sign_in(request)
        except (Forbidden, Unavailable) as error:
            signed_in = isinstance(error, Forbidden)
            return portal.pages.html(
                request, "message.html", None, error.status, title=error.title, message=error.message,
                sign_out=signed_in,
            )  # fmt: skip
        overview = await portal.overview.overview(SPANS.get(span, SPANS["1h"]))
        traces, traces_note = await portal.traces.slow()
        return portal.pages.html(
            request,
            "operations.html",
            user,
            spans=list(SPANS),
            overview=overview,
            stale=is_stale(overview),
            tiles=tiles(overview),
            alerts=[(alert, age(overview.now - alert.since)) for alert in overview.alerts],
            processes=[(process, *process_texts(process, overview.now)) for process in overview.processes],
            plots=[charts.plot(chart) for chart in overview.charts],
            width=charts.WIDTH,
            height=charts.HEIGHT,
            traces=[waterfall(trace) for trace in traces],
            traces_note=traces_note,
        )

    return routes


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that matters most."""

    name: str
    value: str
    note: str
    good: bool = True


def tiles(overview: Overview) -> list[Tile]:
    """What the gateway did over the span, and what is wrong now."""
    totals, worst = overview.totals, overview.alerts[0].severity if overview.alerts else None
    share = 1 - totals.failed / totals.requests if totals.requests else None
    rate = totals.requests_per_second
    up = sum(process.up for process in overview.processes)
    return [
        Tile("Alerts", str(len(overview.alerts)), f"worst: {worst}" if worst else "nothing is wrong", worst is None),
        Tile("Requests", charts.figure(rate, "per_second") if rate is not None else "–",
             f"{totals.requests:,.0f} in {overview.span.name}"),
        Tile("Answered without 5xx", "–" if share is None else f"{_floor(share):.3f}\u2009%",
             f"{totals.failed:,.0f} failed; objective {OBJECTIVE_PERCENT}\u2009%",
             share is None or share * 100 >= OBJECTIVE_PERCENT),
        Tile("p95 of the gateway", "–" if totals.p95_seconds is None else charts.figure(totals.p95_seconds, "seconds"),
             f"over {overview.span.name}"),
        Tile("Processes", f"{up} of {len(overview.processes)}", "answer", up == len(overview.processes)),
    ]  # fmt: skip


def _floor(share: float) -> float:
    """In percent, never rounded up: 100 means that nothing failed."""
    return floor(share * 100_000) / 1000


def is_stale(overview: Overview) -> bool:
    return overview.read_at is None or overview.now - overview.read_at > STALE_AFTER


def age(since: timedelta) -> str:
    """In one word, for people."""
    seconds = max(int(since.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size}\u2009{unit}"
    return f"{seconds}\u2009s"


def process_texts(process: Process, now: datetime) -> tuple[str, str, str]:
    """Memory, cores, and for how long it has run."""
    return (
        "–" if process.memory_bytes is None else charts.figure(process.memory_bytes, "bytes"),
        "–" if process.cores is None else f"{process.cores:.2f}",
        "–" if process.up_since is None else age(now - process.up_since),
    )
