"""Statuspage's public API v2 as its documentation shows it: members, types and values, nothing more."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

ComponentStatus = Literal["operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance"]
IncidentStatus = Literal["investigating", "identified", "monitoring", "resolved", "postmortem"]
MaintenanceStatus = Literal["scheduled", "in_progress", "verifying", "completed"]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(Shape):
    id: str
    name: str
    url: str
    time_zone: str
    updated_at: AwareDatetime


class Status(Shape):
    indicator: Literal["none", "minor", "major", "critical", "maintenance"]
    description: str


class Component(Shape):
    id: str
    name: str
    status: ComponentStatus
    created_at: AwareDatetime
    updated_at: AwareDatetime
    position: int
    description: str | None
    showcase: bool
    start_date: str | None
    group_id: str | None
    page_id: str
    group: bool
    only_show_if_degraded: bool


class Update(Shape):
    id: str
    status: IncidentStatus | MaintenanceStatus
    body: str
    incident_id: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    display_at: AwareDatetime
    affected_components: None
    deliver_notifications: bool


class Event(Shape):
    id: str
    name: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    monitoring_at: AwareDatetime | None
    resolved_at: AwareDatetime | None
    shortlink: str
    started_at: AwareDatetime
    page_id: str
    incident_updates: list[Update]
    components: list[Component]
    reminder_intervals: None


class Incident(Event):
    status: IncidentStatus
    impact: Literal["none", "minor", "major", "critical"]


class Maintenance(Event):
    status: MaintenanceStatus
    impact: Literal["maintenance"]
    scheduled_for: AwareDatetime
    scheduled_until: AwareDatetime


class Summary(Shape):
    page: Page
    components: list[Component]
    incidents: list[Incident]
    scheduled_maintenances: list[Maintenance]
    status: Status


class StatusDocument(Shape):
    page: Page
    status: Status


class ComponentsDocument(Shape):
    page: Page
    components: list[Component]


class IncidentsDocument(Shape):
    page: Page
    incidents: list[Incident]


class MaintenancesDocument(Shape):
    page: Page
    scheduled_maintenances: list[Maintenance]


DOCUMENTS: dict[str, type[Shape]] = {
    "summary": Summary,
    "status": StatusDocument,
    "components": ComponentsDocument,
    "incidents": IncidentsDocument,
    "incidents/unresolved": IncidentsDocument,
    "scheduled-maintenances": MaintenancesDocument,
}
