"""`/api/record`: what was seen of components, for the platform itself. Needs the bearer token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omni.domains.status.contracts import Incident, Record, Stretch
from omni.kit.errors import InvalidInput
from omni.portal.status.deps import StatusPortal
from omni.portal.status.requests import require_token, with_problems


def recalling_routes(portal: StatusPortal) -> list[Route]:
    """`/api/record?component=…&component=…&from=…&until=…`, times with their zone."""

    async def record(request: Request) -> Response:
        require_token(request, portal.token)
        component_ids = tuple(dict.fromkeys(request.query_params.getlist("component")))
        start, end = _moment(request, "from"), _moment(request, "until")
        return JSONResponse(_to_api(await portal.recall.recall(component_ids, start, end)))

    return [Route("/api/record", with_problems(record))]


def _moment(request: Request, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(request.query_params.get(name, ""))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput("invalid_request", f"{name}: give an instant such as 2026-11-01T00:00:00Z.", param=name)
    return moment.astimezone(UTC)


def _to_api(record: Record) -> dict[str, Any]:
    return {
        "outages": [_stretch(each) for each in record.outages],
        "maintenances": [_stretch(each) for each in record.maintenances],
        "incidents": [_incident(each) for each in record.incidents],
        "unwatched_micros": record.unwatched_micros,
    }


def _stretch(stretch: Stretch) -> dict[str, str]:
    return {
        "component": stretch.component_id,
        "start": stretch.start.isoformat(),
        "end": stretch.end.isoformat(),
    }


def _incident(incident: Incident) -> dict[str, str | None]:
    return {
        "id": incident.incident_id,
        "name": incident.name,
        "started_at": incident.created_at.isoformat(),
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
    }
