"""Tenants, projects, members and invitations, one case per outcome."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from omni.contracts.redis_names import INVALIDATE_CHANNEL, response_cache_generation, tenant_snapshot
from omni.contracts.snapshots import TenantSnapshot
from omni.domains.tenants import facade
from omni.foundation.authz import Role
from omni.testing.control_plane import ControlPlane
from tests.domains.people import PASSWORD, People, Person, new_email, problem, stored


async def snapshot_of(plane: ControlPlane, person: Person) -> TenantSnapshot:
    await plane.run_tasks()
    return TenantSnapshot.from_json(await stored(plane.redis, tenant_snapshot(person.tenant_id)))


async def test_sign_up_makes_everything_at_once(plane: ControlPlane, people: People) -> None:
    email = new_email()
    response = await people.client.post(
        "/api/signup", json={"email": email, "password": PASSWORD, "tenant_name": "  Bäckerei Süß  "}
    )
    made = response.json()
    await plane.run_tasks()
    await people.client.post("/api/auth/verify-email", json={"token": plane.mailbox.last_token(email)})
    person = Person(
        people.client, email, made["user_id"], (await people.log_in(email)).json()["session_token"], made["tenant_id"]
    )

    me = (await person.get("/api/me")).json()
    assert me["id"] == made["user_id"]
    assert [(m["tenant"]["id"], m["role"]) for m in me["memberships"]] == [(made["tenant_id"], "owner")]
    tenant = (await person.get("/api/tenants/{t}")).json()
    assert (tenant["name"], tenant["plan_code"], tenant["status"]) == ("Bäckerei Süß", "free", "active")
    projects = (await person.get("/api/tenants/{t}/projects")).json()["data"]
    assert [(project["id"], project["name"]) for project in projects] == [(made["project_id"], "default")]
    members = (await person.get("/api/tenants/{t}/members")).json()["data"]
    assert [(member["email"], member["role"]) for member in members] == [(email, "owner")]


async def test_a_sign_up_that_fails_leaves_nothing(plane: ControlPlane, people: People) -> None:
    taken = (await people.owner()).email
    await plane.run_tasks()
    await people.client.post("/api/signup", json={"email": taken, "password": PASSWORD, "tenant_name": "Acme"})
    assert await plane.run_tasks() == []


async def test_me_shows_all_tenants_of_the_user_and_no_other(people: People) -> None:
    first, second = await people.owner(), await people.owner()
    person = await people.member(first, Role.VIEWER)
    await people.owner()
    async with people.plane.database.shared() as session:
        now = people.plane.clock.now()
        opened = await facade.open_tenant(session, person.user_id, "Mine", "pro", now + timedelta(seconds=1))
    memberships = (await person.get("/api/me")).json()["memberships"]
    found = [(m["tenant"]["id"], m["tenant"]["plan_code"], m["role"]) for m in memberships]
    assert found == [(str(first.tenant_id), "free", "viewer"), (str(opened.tenant_id), "pro", "owner")]
    assert str(second.tenant_id) not in str(memberships)


async def test_renaming_and_changing_the_plan(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    assert await snapshot_of(plane, owner) == TenantSnapshot(owner.tenant_id, "free", active=True)
    assert (await owner.call("PATCH", "/api/tenants/{t}", {"name": "New"})).json()["name"] == "New"
    changed = await operator.call("PUT", f"/api/operator/tenants/{owner.tenant_id}/plan", {"plan_code": "pro"})
    assert changed.json()["plan_code"] == "pro"
    assert await snapshot_of(plane, owner) == TenantSnapshot(owner.tenant_id, "pro", active=True)
    assert (await owner.call("PUT", "/api/tenants/{t}/plan", {"plan_code": "free"})).json()["plan_code"] == "free"
    assert await snapshot_of(plane, owner) == TenantSnapshot(owner.tenant_id, "free", active=True)
    unknown = await owner.call("PUT", "/api/tenants/{t}/plan", {"plan_code": "gold"})
    assert problem(unknown) == (422, "unknown_plan")


async def test_suspending_reaches_the_gateways(plane: ControlPlane, people: People) -> None:
    owner, operator = await people.owner(), await people.operator()
    await plane.run_tasks()
    async with plane.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(INVALIDATE_CHANNEL)
        await channel.get_message(ignore_subscribe_messages=False, timeout=5)
        path = f"/api/operator/tenants/{owner.tenant_id}"
        assert (await operator.post(f"{path}/suspend")).json()["status"] == "suspended"
        assert await snapshot_of(plane, owner) == TenantSnapshot(owner.tenant_id, "free", active=False)
        message = await channel.get_message(timeout=5)
        assert message is not None
        assert message["data"] == f"tenant {owner.tenant_id}".encode()
    assert (await operator.post(f"{path}/resume")).json()["status"] == "active"
    assert await snapshot_of(plane, owner) == TenantSnapshot(owner.tenant_id, "free", active=True)
    missing = await operator.post(f"/api/operator/tenants/{uuid4()}/suspend")
    assert problem(missing) == (404, "tenant_not_found")
    moved = await operator.call("PUT", f"{path}/plan", {"plan_code": "enterprise"})
    assert moved.json()["plan_code"] == "enterprise"


async def test_all_snapshots_are_written_page_by_page(
    plane: ControlPlane, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = [await people.owner() for _ in range(5)]
    monkeypatch.setattr("omni.domains.tenants.service.snapshots.PAGE", 2)
    count = await facade.publish_all(plane.system_database.session, plane.redis)
    assert count == len(await plane.redis.keys("omni:tenant:*"))
    for owner in owners:
        data = await stored(plane.redis, tenant_snapshot(owner.tenant_id))
        assert TenantSnapshot.from_json(data) == TenantSnapshot(owner.tenant_id, "free", active=True)


async def test_projects_are_added_renamed_and_deleted(people: People) -> None:
    owner = await people.owner()
    made = await owner.post("/api/tenants/{t}/projects", {"name": "shop"})
    assert made.status_code == 201
    path = f"/api/tenants/{{t}}/projects/{made.json()['id']}"
    taken = (409, "project_name_taken")
    assert problem(await owner.post("/api/tenants/{t}/projects", {"name": "shop"})) == taken
    assert problem(await owner.call("PATCH", path, {"name": "default"})) == taken
    assert (await owner.call("PATCH", path, {"name": "store"})).json()["name"] == "store"
    assert (await owner.call("PATCH", path, {"name": "store"})).status_code == 200
    assert (await owner.call("DELETE", path)).status_code == 204
    assert problem(await owner.call("DELETE", path)) == (404, "project_not_found")
    last = f"/api/tenants/{{t}}/projects/{owner.project_id}"
    assert problem(await owner.call("DELETE", last)) == (409, "last_project")


async def test_of_two_projects_deleted_at_once_one_stays(people: People) -> None:
    for _ in range(5):
        owner = await people.owner()
        other = (await owner.post("/api/tenants/{t}/projects", {"name": "other"})).json()["id"]
        paths = [f"/api/tenants/{{t}}/projects/{project}" for project in (owner.project_id, other)]
        answers = await asyncio.gather(*(owner.call("DELETE", path) for path in paths))
        assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_projects_have_a_ceiling(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await people.owner()
    monkeypatch.setattr("omni.domains.tenants.rules.MAX_PROJECTS", 4)
    answers = await asyncio.gather(*(owner.post("/api/tenants/{t}/projects", {"name": f"p{n}"}) for n in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 7


async def test_roles_are_changed_and_members_removed(people: People) -> None:
    owner = await people.owner()
    viewer = await people.member(owner, Role.VIEWER)
    path = f"/api/tenants/{{t}}/members/{viewer.user_id}"
    changed = await owner.call("PATCH", path, {"role": "developer"})
    assert (changed.json()["role"], changed.json()["email"]) == ("developer", viewer.email)
    assert (await viewer.post("/api/tenants/{t}/projects", {"name": "mine"})).status_code == 201
    assert problem(await owner.call("PATCH", path, {"role": "king"})) == (400, "invalid_request")
    assert (await owner.call("DELETE", path)).status_code == 204
    assert problem(await viewer.get("/api/tenants/{t}")) == (404, "tenant_not_found")
    assert problem(await owner.call("DELETE", path)) == (404, "member_not_found")


async def test_nobody_gives_or_takes_more_than_they_have(people: People) -> None:
    owner = await people.owner()
    admin, billing = await people.member(owner, Role.ADMIN), await people.member(owner, Role.BILLING)
    refused = (403, "role_above_yours")
    members = "/api/tenants/{t}/members"
    assert problem(await admin.call("PATCH", f"{members}/{admin.user_id}", {"role": "owner"})) == refused
    assert problem(await admin.call("PATCH", f"{members}/{owner.user_id}", {"role": "viewer"})) == refused
    assert problem(await admin.call("DELETE", f"{members}/{owner.user_id}")) == refused
    assert problem(await admin.call("PATCH", f"{members}/{billing.user_id}", {"role": "viewer"})) == refused
    invitation = {"email": new_email(), "role": "owner"}
    assert problem(await admin.post("/api/tenants/{t}/invitations", invitation)) == refused


async def test_the_last_owner_stays(people: People) -> None:
    owner = await people.owner()
    path = f"/api/tenants/{{t}}/members/{owner.user_id}"
    kept = (409, "last_owner")
    assert problem(await owner.call("PATCH", path, {"role": "admin"})) == kept
    assert problem(await owner.call("DELETE", path)) == kept
    assert problem(await owner.post("/api/tenants/{t}/leave")) == kept
    second = await people.member(owner, Role.OWNER)
    assert (await owner.post("/api/tenants/{t}/leave")).status_code == 204
    assert problem(await second.post("/api/tenants/{t}/leave")) == kept


async def test_two_owners_who_leave_at_once_leave_one(people: People) -> None:
    for _ in range(5):
        first = await people.owner()
        second = await people.member(first, Role.OWNER)
        answers = await asyncio.gather(
            first.post("/api/tenants/{t}/leave"),
            second.call("PATCH", f"/api/tenants/{{t}}/members/{second.user_id}", {"role": "viewer"}),
        )
        assert len([answer for answer in answers if answer.status_code == 409]) == 1


async def invite(plane: ControlPlane, owner: Person, email: str, role: str = "developer") -> str:
    response = await owner.post("/api/tenants/{t}/invitations", {"email": email, "role": role})
    assert response.status_code == 201, response.text
    assert "omni_invite_" not in response.text
    await plane.run_tasks()
    return plane.mailbox.last_token(email)


async def test_an_invitation_is_for_one_address_and_one_time(plane: ControlPlane, people: People) -> None:
    owner, guest, thief = await people.owner(), await people.loner(), await people.loner()
    token = await invite(plane, owner, guest.email)
    refused = (400, "invalid_invitation_token")
    assert problem(await thief.post("/api/invitations/accept", {"token": token})) == refused
    assert problem(await guest.post("/api/invitations/accept", {"token": token[:-1] + "_"})) == refused
    accepted = await guest.post("/api/invitations/accept", {"token": token})
    assert accepted.json()["role"] == "developer"
    assert accepted.json()["tenant"]["id"] == str(owner.tenant_id)
    assert problem(await guest.post("/api/invitations/accept", {"token": token})) == refused
    assert (await owner.get("/api/tenants/{t}/invitations")).json()["data"] == []
    again = await invite(plane, owner, guest.email)
    assert problem(await guest.post("/api/invitations/accept", {"token": again})) == (409, "already_member")


async def test_an_invitation_ends(plane: ControlPlane, people: People) -> None:
    owner, guest = await people.owner(), await people.loner()
    refused = (400, "invalid_invitation_token")
    replaced = await invite(plane, owner, guest.email)
    revoked = await invite(plane, owner, guest.email)
    assert problem(await guest.post("/api/invitations/accept", {"token": replaced})) == refused
    (pending,) = (await owner.get("/api/tenants/{t}/invitations")).json()["data"]
    path = f"/api/tenants/{{t}}/invitations/{pending['id']}"
    assert (await owner.call("DELETE", path)).status_code == 204
    assert problem(await owner.call("DELETE", path)) == (404, "invitation_not_found")
    assert problem(await guest.post("/api/invitations/accept", {"token": revoked})) == refused

    over = await invite(plane, owner, guest.email)
    plane.clock.advance(timedelta(days=7))
    guest.token = (await people.log_in(guest.email)).json()["session_token"]
    assert problem(await guest.post("/api/invitations/accept", {"token": over})) == refused


async def test_of_parallel_acceptances_one_counts(plane: ControlPlane, people: People) -> None:
    owner, guest = await people.owner(), await people.loner()
    token = await invite(plane, owner, guest.email)
    answers = await asyncio.gather(*(guest.post("/api/invitations/accept", {"token": token}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9


async def test_gateway_settings_reach_the_gateways(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    path = "/api/tenants/{t}/gateway-settings"
    off = (await owner.get(path)).json()
    assert (off["cache_seconds"], off["policies"]["personal_data"]) == (0, "off")
    wanted = {
        "cache_seconds": 60, "semantic_threshold_per_mille": 950,
        "policies": {**off["policies"], "personal_data": "redact", "denied_models": ["gpt*"],
                     "set_headers": {"x-team": "one"}},
    }  # fmt: skip
    assert (await owner.call("PUT", path, wanted)).json() == wanted
    for wrong in (
        {"set_headers": {"set-cookie": "a"}}, {"set_headers": {"x-a": "b\r\nc"}}, {"personal_data": "maybe"},
        {"set_headers": {"x-request-id": "a"}}, {"set_headers": {"x-ratelimit-limit-requests": "9"}},
    ):  # fmt: skip
        refused = await owner.call("PUT", path, {"policies": wrong})
        assert problem(refused) == (400, "invalid_request")
    await plane.run_tasks()
    snapshot = TenantSnapshot.from_json(await stored(plane.redis, tenant_snapshot(owner.tenant_id)))
    assert (snapshot.cache_seconds, snapshot.semantic_threshold_per_mille) == (60, 950)
    assert snapshot.policies.set_headers == (("x-team", "one"),)
    assert snapshot.policies.denied_models == ("gpt*",)


async def test_the_response_cache_is_emptied(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    name = response_cache_generation(owner.tenant_id)
    for generation in (1, 2):
        assert (await owner.call("DELETE", "/api/tenants/{t}/response-cache")).status_code == 204
        await plane.run_tasks()
        assert int(await stored(plane.redis, name)) == generation
