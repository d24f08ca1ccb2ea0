"""The routes that write: incidents, maintenances, and Alertmanager's webhook. All need the bearer token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omni.domains.status.contracts import Impact, Incident, Status
from omni.domains.status.service.alerts import Alert
from omni.domains.status.service.incidents import NewIncident, NewMaintenance
from omni.domains.status.shapes import to_api_incident
from omni.portal.status.deps import StatusPortal
from omni.portal.status.requests import Handler, read_json, require_token, with_problems

_PRINTABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]*$"  # what XML, so the feeds, can hold
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_PRINTABLE)]
Text = Annotated[str, Field(min_length=1, max_length=10_000, pattern=_PRINTABLE)]
Components = Annotated[list[str], Field(max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IncidentBody(_Strict):
    name: Name
    body: Text
    status: Literal["investigating", "identified", "monitoring", "resolved"] = "investigating"
    impact: Literal["none", "minor", "major", "critical"] = "minor"
    components: Components = []


class UpdateBody(_Strict):
    body: Text
    status: Status | None = None
    impact: Impact | None = None


class MaintenanceBody(_Strict):
    name: Name
    body: Text
    scheduled_for: AwareDatetime
    scheduled_until: AwareDatetime
    components: Components = []


class AlertBody(BaseModel):
    """One alert as Alertmanager writes it; what is not read here may be there."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    startsAt: datetime  # noqa: N815 - Alertmanager's name
    fingerprint: str = Field(min_length=1, max_length=100)


class NotificationBody(BaseModel):
    version: Literal["4"]
    groupKey: str = Field(min_length=1, max_length=10_000)  # noqa: N815 - Alertmanager's name
    status: Literal["firing", "resolved"]
    alerts: list[AlertBody] = Field(max_length=1_000)


def writing_routes(portal: StatusPortal) -> list[Route]:
    """`/api/incidents`, `…/{id}/updates`, `/api/maintenances`, `/api/alerts`."""

    async def open_incident(request: Request) -> Response:
        body = await read_json(request, IncidentBody)
        new = NewIncident(body.name, body.body, Status(body.status), Impact(body.impact), tuple(body.components))
        return JSONResponse(_document(portal, portal.incidents.open(new)), 201)

    async def update(request: Request) -> Response:
        body = await read_json(request, UpdateBody)
        incident_id = request.path_params["incident_id"]
        return JSONResponse(
            _document(portal, portal.incidents.update(incident_id, body.body, body.status, body.impact)), 201
        )

    async def schedule(request: Request) -> Response:
        body = await read_json(request, MaintenanceBody)
        new = NewMaintenance(
            body.name,
            body.body,
            body.scheduled_for.astimezone(UTC),
            body.scheduled_until.astimezone(UTC),
            tuple(body.components),
        )
        return JSONResponse(_document(portal, portal.incidents.schedule(new)), 201)

    async def take_alerts(request: Request) -> Response:
        body = await read_json(request, NotificationBody)
        alerts = [
            Alert(alert.fingerprint, alert.startsAt.isoformat(), alert.status == "resolved", alert.labels)
            for alert in body.alerts
        ]
        changed = portal.alerts.take(body.groupKey, alerts)
        return JSONResponse({"incident": _document(portal, changed) if changed else None})

    def guarded(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            require_token(request, portal.token)
            return await handler(request)

        return with_problems(answer)

    return [
        Route("/api/incidents", guarded(open_incident), methods=["POST"]),
        Route("/api/incidents/{incident_id}/updates", guarded(update), methods=["POST"]),
        Route("/api/maintenances", guarded(schedule), methods=["POST"]),
        Route("/api/alerts", guarded(take_alerts), methods=["POST"]),
    ]


def _document(portal: StatusPortal, incident: Incident) -> dict[str, Any]:
    document = to_api_incident(incident, portal.page_url, {})
    return {**document, "components": list(incident.component_ids)}
