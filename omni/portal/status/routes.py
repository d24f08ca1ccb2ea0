"""The page, and the same as JSON in the shape of Statuspage's public API."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from omni.domains.status.rules import ComponentState
from omni.domains.status.service import ComponentStatus, StatusService, StatusSummary

LABELS = {
    ComponentState.UNKNOWN: "Not probed yet",
    ComponentState.OPERATIONAL: "Operational",
    ComponentState.DEGRADED: "Degraded",
    ComponentState.OUTAGE: "Outage",
}


def routes(service: StatusService, page_url: str) -> list[Route]:
    """`/`, `/api/v2/summary.json`, `/livez`, `/readyz`."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape(["html"])
    )

    async def page(_request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        html = templates.get_template("page.html").render(summary=service.summary(), labels=LABELS, nonce=nonce)
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})

    async def summary(_request: Request) -> Response:
        return JSONResponse(_to_api(service.summary(), page_url), headers={"Access-Control-Allow-Origin": "*"})

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return [
        Route("/", page),
        Route("/api/v2/summary.json", summary),
        Route("/livez", alive),
        Route("/readyz", alive),
    ]


def _to_api(summary: StatusSummary, page_url: str) -> dict[str, Any]:
    updated_at = summary.updated_at.isoformat()
    return {
        "page": {"id": "omni", "name": "Omni", "url": page_url, "time_zone": "Etc/UTC", "updated_at": updated_at},
        "status": {"indicator": summary.indicator, "description": summary.description},
        "components": [_to_api_component(component) for component in summary.components],
        "incidents": [],
        "scheduled_maintenances": [],
    }


def _to_api_component(component: ComponentStatus) -> dict[str, Any]:
    return {
        "id": component.name.lower(),
        "name": component.name,
        "status": component.state,
        "updated_at": component.probed_at.isoformat() if component.probed_at else None,
    }
