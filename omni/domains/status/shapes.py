"""Incidents, maintenances and components as Statuspage's public API writes them (version 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from omni.domains.status.contracts import Component, ComponentState, Incident, Kind, Update

PAGE_ID = "omni"


def to_api_page(page_url: str, updated_at: datetime) -> dict[str, Any]:
    return {"id": PAGE_ID, "name": "Omni", "url": page_url, "time_zone": "Etc/UTC", "updated_at": _time(updated_at)}


def to_api_component(component: Component, place: int, state: ComponentState, changed_at: datetime) -> dict[str, Any]:
    """`place` counts from 1."""
    return {
        "id": component.component_id,
        "name": component.name,
        "status": state.value,
        "created_at": _time(changed_at),
        "updated_at": _time(changed_at),
        "position": place,
        "description": None,
        "showcase": True,
        "start_date": None,
        "group_id": None,
        "page_id": PAGE_ID,
        "group": False,
        "only_show_if_degraded": False,
    }


def to_api_incident(incident: Incident, page_url: str, components: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`components` in their API shape, by id; those that are gone from the page are left out."""
    document: dict[str, Any] = {
        "id": incident.incident_id,
        "name": incident.name,
        "status": incident.status.value,
        "created_at": _time(incident.created_at),
        "updated_at": _time(incident.updated_at),
        "monitoring_at": _time(incident.monitoring_at),
        "resolved_at": _time(incident.resolved_at),
        "impact": incident.impact.value,
        "shortlink": f"{page_url}/incidents/{incident.incident_id}",
        "started_at": _time(incident.scheduled_for or incident.created_at),
        "page_id": PAGE_ID,
        "incident_updates": [_update(incident.incident_id, update) for update in incident.updates],
        "components": [components[found] for found in incident.component_ids if found in components],
        "reminder_intervals": None,
    }
    if incident.kind is Kind.MAINTENANCE:
        document["scheduled_for"] = _time(incident.scheduled_for)
        document["scheduled_until"] = _time(incident.scheduled_until)
    return document


def _update(incident_id: str, update: Update) -> dict[str, Any]:
    written = _time(update.created_at)
    return {
        "id": update.update_id,
        "status": update.status.value,
        "body": update.body,
        "incident_id": incident_id,
        "created_at": written,
        "updated_at": written,
        "display_at": written,
        "affected_components": None,
        "deliver_notifications": True,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
