"""The routes of service levels: who sees what, evidence of credit notes, plans' tables; and the whole way from the
gateway's events and the prober's rows to a credit note."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from omni.domains.billing.contracts import LegalEntity
from omni.domains.billing.service import profiles
from omni.domains.sla.service.status_page import HttpStatusPage
from omni.domains.status.contracts import Probe
from omni.domains.status.service.incidents import NewIncident
from omni.foundation.authz import Role
from omni.kit.clock import ManualClock
from omni.kit.errors import Unavailable
from omni.portal.status.routes import status_app
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People, problem, without_request_id
from tests.domains.sla.months import (
    DUE,
    NOVEMBER,
    OCTOBER,
    SLOT,
    api_down,
    bill,
    close,
    customer,
    events,
    go_to,
    log_in_again,
    promise,
    record,
)
from tests.domains.sla.test_months import NOON, agree, notes
from tests.domains.status.conftest import TOKEN, Site

MONTHS = "/api/tenants/{t}/sla"
TABLE = [{"below_percent": "99.9", "credit_percent": 10}, {"below_percent": "99", "credit_percent": 25}]


@pytest.fixture
def site(tmp_path: Path, plane: ControlPlane) -> Any:
    made = Site(tmp_path, plane.clock)
    yield made
    made.services.file.close()


async def test_from_events_and_probes_to_a_credit_note(
    plane: ControlPlane, people: People, seller: LegalEntity, site: Site
) -> None:
    """Of one quarter 30 of 100 requests fail while the API is away for 600 s of it; of the next one, in a maintenance,
    all; and in a third one, 9 of 10: 2/3 + 9/10 of 2,976 quarters are lost."""
    owner = await customer(plane, people)
    await record(plane, events(owner, NOON, 200, 70) + events(owner, NOON + timedelta(minutes=14), 502, 30))
    await record(plane, events(owner, NOON + SLOT, 503, 10))
    await record(plane, events(owner, NOON + 8 * SLOT, 499) + events(owner, NOON + 8 * SLOT, 504, 9))
    go_to(plane, NOON)
    opened = site.services.portal.incidents.open(NewIncident("API away", "x", component_ids=("api",)))
    for second in range(0, 7200, 15):
        at = NOON + timedelta(seconds=second)
        down, maintained = second < 600, 900 <= second < 1800
        for component in ("api", "inference"):
            failed = down or maintained or (component == "api" and second == 7185)
            site.history.add(Probe(component, at, not failed, 5, "", maintenance=maintained))
    go_to(plane, NOON + timedelta(seconds=3600))
    site.services.portal.incidents.update(opened.incident_id, "Back.", "resolved")  # type: ignore[arg-type]
    go_to(plane, DUE)
    await bill(plane, owner)
    transport = httpx2.ASGITransport(app=status_app(site.services.portal))
    async with httpx2.AsyncClient(transport=transport) as client:
        plane.status_page.observed = HttpStatusPage(  # type: ignore[method-assign]
            client, "http://status.test/", TOKEN, ("api", "inference"), plane.clock
        ).observed
        month = await close(plane, owner)
    assert month.evidence is not None
    losses = [(each["start"], each["valid"], each["failed"], each["down_micros"]) for each in month.evidence["losses"]]
    assert losses == [
        (NOON.isoformat(), 100, 30, 600_000_000),
        ((NOON + 7 * SLOT).isoformat(), 0, 0, 15_000_000),
        ((NOON + 8 * SLOT).isoformat(), 10, 9, 285_000_000),
    ]
    lost = 600 / 900 + 15 / 900 + 9 / 10
    assert month.availability == int(100_000 * (2976 - lost) / 2976) == 99_946
    assert [each["id"] for each in month.evidence["incidents"]] == [opened.incident_id]
    assert month.evidence["unwatched_micros"]["api"] == (31 * 86_400 - 7_185 - 300) * 1_000_000
    assert month.outcome == "met"
    await agree(plane, owner)


async def test_the_evidence_of_a_credit_note(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner = await customer(plane, people)
    plane.status_page.says = api_down(NOON, timedelta(hours=9))
    go_to(plane, DUE)
    await bill(plane, owner)
    await close(plane, owner)
    (note,) = await notes(plane, owner)
    await log_in_again(people, owner)
    shown = (await owner.get(f"/api/tenants/{{t}}/invoices/{note.invoice_id}/sla")).json()
    month = (await owner.get(f"{MONTHS}/2026-10")).json()
    assert shown == month
    assert (month["availability_percent"], month["outcome"], month["preliminary"]) == ("98.790", "credited", False)
    assert (month["base_minor"], month["credit_percent"], month["credit_minor"]) == (3000, 25, 750)
    assert month["evidence"]["tiers"][1] == {"below_percent": "99.000", "credit_percent": 25}
    assert [each["net_minor"] for each in month["evidence"]["charges"]] == [3000]
    (line,) = (await owner.get(f"/api/tenants/{{t}}/invoices/{note.invoice_id}")).json()["lines"]
    assert line["kind"] == "sla_credit"
    (step,) = line["steps"]
    assert (step["availability_percent"], step["below_percent"]) == ("98.790", "99.000")
    assert (await owner.get(step["evidence"])).json() == month
    (listed,) = (await owner.get(MONTHS)).json()["data"]
    assert listed == {name: value for name, value in month.items() if name != "evidence"}
    assert problem(await owner.get(f"/api/tenants/{{t}}/invoices/{note.corrects_id}/sla")) == (
        404, "sla_credit_not_found",
    )  # fmt: skip
    await agree(plane, owner)


async def test_the_running_month_is_preliminary(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner = await customer(plane, people)
    first = (await owner.get(f"{MONTHS}/2026-10")).json()
    assert (first["availability_percent"], first["slots"], first["preliminary"]) == (None, 0, True)
    await record(plane, events(owner, OCTOBER, 500))
    go_to(plane, OCTOBER + timedelta(minutes=61))
    so_far = (await owner.get(f"{MONTHS}/2026-10")).json()
    assert (so_far["availability_percent"], so_far["slots"], so_far["outcome"]) == ("75.000", 4, None)
    assert plane.status_page.asked[-1] == (OCTOBER, OCTOBER + 4 * SLOT)
    assert (await owner.get(MONTHS)).json() == {"data": []}
    operator = await people.operator()
    path = f"/api/operator/tenants/{owner.tenant_id}/sla/2026-10/close"
    assert problem(await operator.post(path)) == (409, "sla_month_open")
    for month in ("2026-11", "2026-09", "2020-01"):
        assert problem(await owner.get(f"{MONTHS}/{month}")) == (404, "sla_month_not_found")


async def test_a_month_begins_when_the_tenant_was_opened(
    plane: ControlPlane, people: People, seller: LegalEntity
) -> None:
    go_to(plane, NOVEMBER - timedelta(hours=2, minutes=50))
    owner = await customer(plane, people)
    plane.status_page.says = api_down(OCTOBER, timedelta(days=30))
    go_to(plane, DUE)
    month = await close(plane, owner)
    assert (month.slots, month.availability) == (12, 100_000)


async def test_a_sandbox_has_no_months(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner = await customer(plane, people, None)
    async with plane.database.write(owner.tenant_id) as session:
        await profiles.start_clock(session, OCTOBER)
    assert problem(await owner.get(f"{MONTHS}/2026-10")) == (404, "sla_month_not_found")


async def test_only_those_who_see_invoices_see_months(plane: ControlPlane, people: People, seller: LegalEntity) -> None:
    owner, stranger = await customer(plane, people), await people.owner()
    developer, accountant = await people.member(owner, Role.DEVELOPER), await people.member(owner, Role.BILLING)
    for path in (MONTHS, f"{MONTHS}/2026-10"):
        assert (await accountant.get(path)).status_code == 200
        assert problem(await developer.get(path)) == (403, "permission_missing")
        theirs = await stranger.get(path.replace("{t}", str(owner.tenant_id)))
        nobodys = await stranger.get(path.replace("{t}", str(uuid4())))
        assert without_request_id(theirs) == without_request_id(nobodys)
        assert theirs.status_code == 404
    operators = (
        ("GET", f"/api/operator/tenants/{owner.tenant_id}/sla"),
        ("GET", f"/api/operator/tenants/{owner.tenant_id}/sla/2026-10"),
        ("POST", f"/api/operator/tenants/{owner.tenant_id}/sla/2026-10/close"),
        ("GET", f"/api/operator/tenants/{owner.tenant_id}/sla/2026-10/recalculated"),
        ("GET", "/api/operator/plans/pro/sla"),
        ("POST", "/api/operator/plans/pro/sla"),
    )
    for method, path in operators:
        body = {"tiers": TABLE} if path.endswith("pro/sla") and method == "POST" else None
        assert (await owner.call(method, path, body)).status_code in (403, 404)
    operator = await people.operator()
    assert (await operator.get(operators[0][1])).json() == {"data": []}
    assert (await operator.get(operators[1][1])).json()["preliminary"] is True


async def test_operators_publish_what_plans_promise(plane: ControlPlane, people: People) -> None:
    operator, path = await people.operator(), "/api/operator/plans/enterprise/sla"
    before = (await operator.get(path)).json()["data"]
    made = await operator.post(path, {"tiers": TABLE}, key="k1")
    again = await operator.post(path, {"tiers": TABLE}, key="k1")
    assert (made.status_code, made.json()) == (201, again.json())
    assert made.json()["version"] == len(before) + 1
    assert made.json()["tiers"] == [
        {"below_percent": "99.900", "credit_percent": 10},
        {"below_percent": "99.000", "credit_percent": 25},
    ]
    assert (await operator.get(path)).json()["data"] == [*before, made.json()]
    assert problem(await operator.post(path, {"tiers": TABLE[::-1]})) == (400, "sla_tiers_invalid")
    assert problem(await operator.post("/api/operator/plans/nothing/sla", {"tiers": TABLE})) == (422, "unknown_plan")
    for odd in ("99.9999", "x", None):
        tiers = [{"below_percent": odd, "credit_percent": 10}]
        assert problem(await operator.post(path, {"tiers": tiers})) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, "{}"), (404, "{}"), (503, ""), (200, "[]"), (200, "{"), (200, '{"outages": [{}]}'), (200, "{}")],
)
async def test_a_status_page_that_says_nonsense_is_not_believed(status: int, body: str) -> None:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(status, text=body))
    async with httpx2.AsyncClient(transport=transport) as client:
        page = HttpStatusPage(client, "http://status.test", "t", ("api",), ManualClock(OCTOBER))
        with pytest.raises(Unavailable) as raised:
            await page.observed(OCTOBER, NOVEMBER)
    assert raised.value.code == "outages_unknown"


async def test_many_who_look_at_once_ask_the_status_page_once() -> None:
    asked: list[str] = []
    away = False

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        empty = {"outages": [], "maintenances": [], "incidents": [], "unwatched_micros": {"api": 0}}
        return httpx2.Response(503) if away else httpx2.Response(200, json=empty)

    clock = ManualClock(OCTOBER)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        page = HttpStatusPage(client, "http://status.test", "t", ("api",), clock)
        await asyncio.gather(*(page.observed(OCTOBER, NOVEMBER) for _ in range(20)))
        assert len(asked) == 1
        await page.observed(OCTOBER, DUE)
        clock.advance(timedelta(seconds=61))
        await page.observed(OCTOBER, NOVEMBER)
        assert len(asked) == 3
        away = True
        clock.advance(timedelta(seconds=61))
        found = await asyncio.gather(*(page.observed(OCTOBER, DUE) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in found)
        assert len(asked) == 4
        away = False
        clock.advance(timedelta(seconds=6))
        await page.observed(OCTOBER, DUE)
    assert len(asked) == 5


async def test_a_status_page_that_is_away_is_not_believed() -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        page = HttpStatusPage(client, "http://127.0.0.1:9", "t", ("api",), ManualClock(OCTOBER))
        with pytest.raises(Unavailable):
            await page.observed(OCTOBER, datetime.fromisoformat("2026-11-01T00:00:00Z"))


async def test_two_who_publish_at_once_get_versions_of_their_own(plane: ControlPlane) -> None:
    made = await asyncio.gather(*(promise(plane, "free", ()) for _ in range(5)))
    assert sorted(made) == list(range(min(made), min(made) + 5))
