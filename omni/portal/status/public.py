"""What people see: the page, its history, one incident, feeds and badges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from email.utils import format_datetime
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omni.domains.status.contracts import ComponentState, Incident, Kind
from omni.domains.status.rules import UPTIME_DAYS
from omni.domains.status.service.probing import PROBE_SECONDS
from omni.portal.status.deps import StatusPortal
from omni.portal.status.pages import Pages, bars

RECENT_DAYS = 7
BADGE_COLOURS = {
    ComponentState.UNKNOWN: "#667085",
    ComponentState.OPERATIONAL: "#12805c",
    ComponentState.MAINTENANCE: "#2563c9",
    ComponentState.DEGRADED: "#a35200",
    ComponentState.PARTIAL: "#b93815",
    ComponentState.OUTAGE: "#c01048",
}
OF_INDICATOR = {
    "none": ComponentState.OPERATIONAL,
    "maintenance": ComponentState.MAINTENANCE,
    "minor": ComponentState.DEGRADED,
    "major": ComponentState.PARTIAL,
    "critical": ComponentState.OUTAGE,
}


def public_routes(portal: StatusPortal, pages: Pages) -> list[Route]:
    """`/`, `/history`, `/incidents/{id}`, `/history.atom`, `/history.rss`, `/badge.svg`, `/badge/{component}.svg`."""

    async def page(request: Request) -> Response:
        overview, wording = portal.overview.overview(), pages.wording(request)
        open_ids = {found.incident_id for found in (*overview.incidents, *overview.maintenances)}
        past = [found for found in portal.overview.history(RECENT_DAYS) if found.incident_id not in open_ids]
        drawn = [(status, bars(status, wording)) for status in overview.components]
        return pages.html(
            request, "page.html", overview=overview, drawn=drawn, days=past_days(past), seconds=PROBE_SECONDS,
            last_probe=max((s.probed_at for s in overview.components if s.probed_at), default=None),
            recent=wording.text("days_count", count=RECENT_DAYS),
        )  # fmt: skip

    async def history(request: Request) -> Response:
        past = portal.overview.history(UPTIME_DAYS)
        return pages.html(request, "history.html", days=past_days(past), count=len(past), of_days=UPTIME_DAYS)

    async def incident(request: Request) -> Response:
        found = portal.overview.incident(request.path_params["incident_id"])
        if found is None:
            return pages.html(request, "message.html", 404, head="not_found", note="not_found_note", values={})
        return pages.html(request, "incident.html", incident=found)

    def feed(template: str, media_type: str) -> Route:
        async def answer(request: Request) -> Response:
            wording = pages.wording(request)
            found = [*portal.overview.recent(Kind.INCIDENT), *portal.overview.recent(Kind.MAINTENANCE)]
            found.sort(key=lambda incident: incident.updated_at, reverse=True)
            updated_at = found[0].updated_at if found else portal.overview.now()
            xml = pages.templates.get_template(template).render(
                t=wording.text,
                wording=wording,
                url=portal.page_url,
                incidents=found,
                updated_at=updated_at,
                rfc2822=format_datetime,
            )
            headers = {"Cache-Control": "public, max-age=60", "Vary": "Accept-Language"}
            return Response(xml, media_type=media_type, headers=headers)

        return Route(f"/{template.removesuffix('.xml')}", answer)

    async def badge(request: Request) -> Response:
        wording, component_id = pages.wording(request), request.path_params.get("component")
        if component_id is None:
            overview = portal.overview.overview()
            label, said = "Omni", wording.text(overview.description_key)
            state = OF_INDICATOR[overview.indicator]
            state = ComponentState.UNKNOWN if overview.description_key == "page_unknown" else state
        else:
            status = portal.overview.component(component_id)
            if status is None:
                return Response("There is no such component.\n", 404, media_type="text/plain")
            label, state, said = status.component.name, status.state, wording.text(status.state)
            if status.uptime_basis_points is not None:
                said += f" · {wording.percent(status.uptime_basis_points)}"
        widths = (round(len(label) * 7.2) + 16, round(len(said) * 6.8) + 16)
        svg = pages.templates.get_template("badge.svg").render(
            label=label, said=said, left=widths[0], right=widths[1], colour=BADGE_COLOURS[state]
        )
        return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "no-cache, max-age=0"})

    async def icon(_request: Request) -> Response:
        state = OF_INDICATOR[portal.overview.overview().indicator]
        svg = pages.templates.get_template("icon.svg").render(colour=BADGE_COLOURS[state])
        return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})

    return [
        Route("/", page),
        Route("/history", history),
        Route("/incidents/{incident_id}", incident),
        feed("history.atom.xml", "application/atom+xml"),
        feed("history.rss.xml", "application/rss+xml"),
        Route("/badge.svg", badge),
        Route("/badge/{component}.svg", badge),
        Route("/icon.svg", icon),
    ]


def past_days(past: Sequence[Incident]) -> list[tuple[date, list[Incident]]]:
    """By the UTC day on which they began, in the order given."""
    return [(day, list(found)) for day, found in groupby(past, lambda incident: incident.created_at.date())]
