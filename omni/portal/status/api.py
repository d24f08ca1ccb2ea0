"""`/api/v2`: what is known, in the shape of Statuspage's public API. Anyone may read it, from any origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omni.domains.status.contracts import ComponentState, Incident, Kind
from omni.domains.status.service.overview import Overview
from omni.domains.status.shapes import to_api_component, to_api_incident, to_api_page
from omni.domains.status.wording import Wording
from omni.portal.status.deps import StatusPortal

HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=5"}


def api_routes(portal: StatusPortal) -> list[Route]:
    """The six documents."""
    english = Wording("en")

    def components_of(overview: Overview) -> list[dict[str, Any]]:
        """Statuspage has no word for what was never probed, so such components are left out."""
        return [
            to_api_component(status.component, place, status.state, status.changed_at or overview.updated_at)
            for place, status in enumerate(overview.components, 1)
            if status.state is not ComponentState.UNKNOWN
        ]

    def incidents_of(found: list[Incident], overview: Overview) -> list[dict[str, Any]]:
        by_id = {component["id"]: component for component in components_of(overview)}
        return [to_api_incident(incident, portal.page_url, by_id) for incident in found]

    def status_of(overview: Overview) -> dict[str, str]:
        return {"indicator": overview.indicator, "description": english.text(overview.description_key)}

    def summary(overview: Overview) -> dict[str, Any]:
        return {
            "components": components_of(overview),
            "incidents": incidents_of(list(overview.incidents), overview),
            "scheduled_maintenances": incidents_of(list(overview.maintenances), overview),
            "status": status_of(overview),
        }

    documents: dict[str, Callable[[Overview], dict[str, Any]]] = {
        "summary": summary,
        "status": lambda overview: {"status": status_of(overview)},
        "components": lambda overview: {"components": components_of(overview)},
        "incidents": lambda overview: {"incidents": incidents_of(portal.overview.recent(Kind.INCIDENT), overview)},
        "incidents/unresolved": lambda overview: {"incidents": incidents_of(list(overview.incidents), overview)},
        "scheduled-maintenances": lambda overview: {
            "scheduled_maintenances": incidents_of(portal.overview.recent(Kind.MAINTENANCE), overview)
        },
    }

    def route(name: str, write: Callable[[Overview], dict[str, Any]]) -> Route:
        async def answer(_request: Request) -> Response:
            overview = portal.overview.overview()
            page = {"page": to_api_page(portal.page_url, overview.updated_at)}
            return JSONResponse({**page, **write(overview)}, headers=HEADERS)

        return Route(f"/api/v2/{name}.json", answer)

    return [route(name, write) for name, write in documents.items()]
