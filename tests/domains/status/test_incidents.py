"""Incidents, maintenances and alerts: what may follow what, what repetitions change, what the page says then."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from omni.domains.status.contracts import ComponentState, Impact, Status
from omni.domains.status.rules import FINAL, NEXT
from omni.domains.status.service.incidents import NewIncident, NewMaintenance
from omni.kit.errors import Conflict, InvalidInput
from tests.domains.status.conftest import COMPONENTS, Site
from tests.domains.status.shape import DOCUMENTS, Summary

OF_INCIDENTS = (Status.INVESTIGATING, Status.IDENTIFIED, Status.MONITORING, Status.RESOLVED)


def state(site: Site, component_id: str) -> ComponentState:
    status = site.services.portal.overview.component(component_id)
    assert status is not None
    return status.state


def opened(site: Site, **given: Any) -> str:
    return site.services.portal.incidents.open(NewIncident("Slow", "We look.", **given)).incident_id


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_every_step_is_allowed_or_refused_as_the_table_says(site: Site, before: Status, after: Status) -> None:
    service, now = site.services.portal.incidents, site.clock.now()
    if before in OF_INCIDENTS:
        found = service.open(NewIncident("n", "b", before))
    else:
        found = service.schedule(NewMaintenance("n", "b", now + timedelta(hours=1), now + timedelta(hours=2)))
        for step in {
            Status.IN_PROGRESS: [before],
            Status.VERIFYING: [Status.IN_PROGRESS, before],
            Status.COMPLETED: [before],
        }.get(before, []):
            found = service.update(found.incident_id, "b", step)
    if after in NEXT[before]:
        changed = service.update(found.incident_id, "b", after)
        assert changed.status is after
        assert (changed.resolved_at is not None) == (after in FINAL)
        assert site.services.portal.overview.incident(found.incident_id) == changed
    else:
        with pytest.raises(Conflict):
            service.update(found.incident_id, "b", after)
        assert site.services.portal.overview.incident(found.incident_id) == found


@pytest.mark.parametrize(
    ("impact", "status", "expected"),
    [
        (Impact.NONE, Status.INVESTIGATING, ComponentState.OPERATIONAL),
        (Impact.MINOR, Status.INVESTIGATING, ComponentState.DEGRADED),
        (Impact.MAJOR, Status.IDENTIFIED, ComponentState.PARTIAL),
        (Impact.CRITICAL, Status.IDENTIFIED, ComponentState.OUTAGE),
        (Impact.CRITICAL, Status.MONITORING, ComponentState.OPERATIONAL),
        (Impact.CRITICAL, Status.RESOLVED, ComponentState.OPERATIONAL),
    ],
)
def test_an_incident_makes_its_components_no_better_than_it_is(
    site: Site, impact: Impact, status: Status, expected: ComponentState
) -> None:
    site.all_up()
    opened(site, impact=impact, status=status, component_ids=("api",))
    assert state(site, "api") is expected
    assert state(site, "jobs") is ComponentState.OPERATIONAL


def test_an_incident_does_not_make_an_outage_look_better(site: Site) -> None:
    site.probe("api", False, False, False)
    opened(site, impact=Impact.MINOR, component_ids=("api",))
    assert state(site, "api") is ComponentState.OUTAGE


def test_unknown_components_are_refused(site: Site) -> None:
    with pytest.raises(InvalidInput, match="known: api, console"):
        opened(site, component_ids=("apis",))


async def test_a_maintenance_begins_and_ends_by_the_clock(site: Site) -> None:
    site.all_up()
    service, now = site.services.portal.incidents, site.clock.now()
    planned = service.schedule(
        NewMaintenance("Upgrade", "Soon.", now + timedelta(minutes=1), now + timedelta(minutes=3), ("jobs",))
    )
    service.advance_maintenances()
    assert state(site, "jobs") is ComponentState.OPERATIONAL
    site.clock.advance(timedelta(minutes=1))
    service.advance_maintenances()
    service.advance_maintenances()
    assert state(site, "jobs") is ComponentState.MAINTENANCE
    failing = httpx2.MockTransport(lambda _request: httpx2.Response(503))
    async with httpx2.AsyncClient(transport=failing) as client:
        await site.services.prober.probe_all(client)
    today = site.clock.now().date()
    assert [site.history.days(name, today)[0].total for name in ("jobs", "api")] == [1, 2]
    site.clock.advance(timedelta(minutes=2))
    service.advance_maintenances()
    over = site.services.portal.overview.incident(planned.incident_id)
    assert over is not None
    assert [update.status for update in over.updates] == [Status.COMPLETED, Status.IN_PROGRESS, Status.SCHEDULED]
    assert state(site, "jobs") is ComponentState.DEGRADED


def test_a_maintenance_that_was_slept_through_is_over(site: Site) -> None:
    service, now = site.services.portal.incidents, site.clock.now()
    planned = service.schedule(NewMaintenance("U", "S", now + timedelta(minutes=1), now + timedelta(minutes=2)))
    site.clock.advance(timedelta(days=1))
    service.advance_maintenances()
    over = site.services.portal.overview.incident(planned.incident_id)
    assert over is not None
    assert over.status is Status.COMPLETED


@pytest.mark.parametrize(("start", "end"), [(2, 1), (-2, -1), (1, 1)])
def test_a_maintenance_needs_a_future_end_after_its_beginning(site: Site, start: int, end: int) -> None:
    now = site.clock.now()
    with pytest.raises(InvalidInput):
        site.services.portal.incidents.schedule(
            NewMaintenance("U", "S", now + timedelta(hours=start), now + timedelta(hours=end))
        )


def notification(
    status: str, *alerts: tuple[str, str, str], name: str = "GatewayDown", group: str | None = None
) -> dict[str, Any]:
    """As Alertmanager posts it; alerts as (status, fingerprint, start)."""
    return {
        "version": "4",
        "groupKey": group or f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "status-page",
        "groupLabels": {"alertname": name},
        "commonLabels": {"alertname": name, "severity": "critical"},
        "commonAnnotations": {"summary": "No gateway answers"},
        "externalURL": "http://alertmanager",
        "alerts": [
            {
                "status": alert_status,
                "labels": {"alertname": name, "severity": "critical"},
                "annotations": {},
                "startsAt": starts_at,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": fingerprint,
            }
            for alert_status, fingerprint, starts_at in alerts
        ],
    }


FIRST, SECOND = "2026-11-24T12:00:00.123456789Z", "2026-11-24T13:00:00Z"


async def test_an_alert_opens_one_incident_and_closes_it(site: Site, writer: httpx2.AsyncClient) -> None:
    async def send(body: dict[str, Any]) -> str | None:
        answer = await writer.post("/api/alerts", json=body)
        assert answer.status_code == 200, answer.text
        incident = answer.json()["incident"]
        return str(incident["status"]) if incident else None

    site.all_up()
    fires = notification("firing", ("firing", "a", FIRST))
    assert await send(fires) == "investigating"
    assert state(site, "api") is ComponentState.PARTIAL
    assert await send(fires) is None
    assert await send(notification("firing", ("firing", "a", FIRST), ("firing", "b", FIRST))) is None
    assert await send(notification("firing", ("resolved", "a", FIRST), ("firing", "b", FIRST))) is None
    ends = notification("resolved", ("resolved", "a", FIRST), ("resolved", "b", FIRST))
    assert await send(ends) == "resolved"
    assert await send(ends) is None
    assert await send(fires) is None, "a late repetition opens nothing"
    assert state(site, "api") is ComponentState.OPERATIONAL
    assert await send(notification("firing", ("firing", "a", SECOND))) == "investigating"
    assert await send(ends) is None, "the end of the first one does not end the second"
    site.restart()
    listed = site.services.portal.overview.overview().incidents
    assert [incident.name for incident in listed] == ["Disruption of API"]


@pytest.mark.parametrize(
    ("name", "components"),
    [
        ("GatewayDown", ["api"]),
        ("BackendDown", ["inference"]),
        ("ConsoleDown", ["console"]),
        ("WorkerDown", ["jobs"]),
        ("PostgresDown", ["console", "inference", "jobs"]),
        ("RedisDown", ["api", "jobs"]),
        ("PostgresWraparoundNear", None),
    ],
)
async def test_alerts_name_components(writer: httpx2.AsyncClient, name: str, components: list[str] | None) -> None:
    body = notification("firing", ("firing", "x", FIRST), name=name)
    incident = (await writer.post("/api/alerts", json=body)).json()["incident"]
    assert (incident and incident["components"]) == components


async def test_an_alert_of_a_process_names_its_component(writer: httpx2.AsyncClient) -> None:
    body = notification("firing", ("firing", "x", FIRST), name="SomethingNew")
    body["alerts"][0]["labels"]["process"] = "backend"
    assert (await writer.post("/api/alerts", json=body)).json()["incident"]["components"] == ["inference"]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic omni_status_test", "Bearer "])
@pytest.mark.parametrize("path", ["/api/alerts", "/api/incidents", "/api/incidents/x/updates", "/api/maintenances"])
async def test_writing_needs_the_token(client: httpx2.AsyncClient, header: str | None, path: str) -> None:
    answer = await client.post(path, json={}, headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.json()["code"]) == (401, "status_token_invalid")
    assert "omni status token" in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api/incidents", b"{", "invalid_json"),
        ("/api/incidents", b'{"name": "x"}', "invalid_request"),
        ("/api/incidents", b'{"name": "x", "body": "y", "status": "completed"}', "invalid_request"),
        ("/api/incidents", b'{"name": "\\u0000", "body": "y"}', "invalid_request"),
        ("/api/incidents", b'{"name": "x", "body": "y", "typo": 1}', "invalid_request"),
        ("/api/alerts", b'{"version": "3"}', "invalid_request"),
        ("/api/incidents/none/updates", b'{"body": "x"}', "incident_not_found"),
        ("/api/maintenances", b'{"name": "x", "body": "y", "scheduled_for": "2026-12-01T00:00:00", '
            b'"scheduled_until": "2026-12-02T00:00:00"}', "invalid_request"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(writer: httpx2.AsyncClient, path: str, body: bytes, code: str) -> None:
    answer = await writer.post(path, content=body)
    assert answer.json()["code"] == code
    assert answer.headers["content-type"] == "application/problem+json"


async def test_all_documents_have_statuspages_shape(
    site: Site, writer: httpx2.AsyncClient, client: httpx2.AsyncClient
) -> None:
    async def all_fit() -> None:
        for name, shape in DOCUMENTS.items():
            answer = await client.get(f"/api/v2/{name}.json")
            shape.model_validate(answer.json())
            assert answer.headers["access-control-allow-origin"] == "*"

    await all_fit()
    site.all_up()
    incident = {"name": "Slow", "body": "We look.", "impact": "major", "components": ["api"]}
    made = (await writer.post("/api/incidents", json=incident)).json()
    times = {"scheduled_for": "2026-11-25T00:00:00+01:00", "scheduled_until": "2026-11-25T01:00:00+01:00"}
    await writer.post("/api/maintenances", json={"name": "Upgrade", "body": "b", "components": ["jobs"], **times})
    await all_fit()
    summary = (await client.get("/api/v2/summary.json")).json()
    assert [component["id"] for component in summary["components"]] == list(COMPONENTS)
    assert [found["id"] for found in summary["incidents"]] == [made["id"]]
    assert summary["scheduled_maintenances"][0]["scheduled_for"] == "2026-11-24T23:00:00.000Z"
    await writer.post(f"/api/incidents/{made['id']}/updates", json={"body": "Done.", "status": "resolved"})
    assert (await client.get("/api/v2/incidents/unresolved.json")).json()["incidents"] == []
    assert len((await client.get("/api/v2/incidents.json")).json()["incidents"][0]["incident_updates"]) == 2
    await all_fit()
    summary["components"][0]["status"] = "unknown"
    with pytest.raises(ValidationError):
        Summary.model_validate(summary)
