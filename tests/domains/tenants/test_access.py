"""Who may do what in a tenant: a matrix made from the routes and the permission table."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import LegalEntity
from omni.foundation.authz import PERMISSIONS, Permission, Role
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People, Person, problem, without_request_id

TENANT_PREFIX = "/api/tenants/{tenant_id}"
PUBLIC = {
    ("POST", "/api/signup"),
    ("POST", "/api/auth/verify-email"),
    ("POST", "/api/auth/resend-verification"),
    ("POST", "/api/auth/login"),
    ("GET", "/api/plans"),
    ("GET", "/api/meters"),
    ("GET", "/api/prices"),
    ("GET", "/api/payment-providers"),
    ("POST", "/api/payment-webhooks/{provider}"),
}


@pytest.fixture(autouse=True)
async def seller(plane: ControlPlane) -> None:
    """Somebody sells, so that tenants can be billed."""
    async with plane.database.shared() as session:
        await billing.save_entity(session, LegalEntity("seller", "Seller", "", "", "", "SI", "SE", is_default=True))


def api_routes(plane: ControlPlane, prefix: str = "/api") -> Iterator[tuple[str, APIRoute]]:
    """Method and route of everything below a prefix."""
    for router in plane.routers:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            if route.path.startswith(prefix):
                yield from ((method, route) for method in sorted(route.methods or ()))


def permissions_of(dependant: Dependant) -> set[Permission]:
    found = set().union(*(permissions_of(child) for child in dependant.dependencies))
    permission = getattr(dependant.call, "permission", None)
    return found | {permission} if permission else found


def filled(path: str, tenant_id: object) -> str:
    path = path.replace("{tenant_id}", str(tenant_id)).replace("{code}", "free")
    path = path.replace("{provider}", "nowhere").replace("{name:path}", "no-model").replace("{plan_code}", "pro")
    path = path.replace("{country}", "SI").replace("{valid_from}", "2026-01-01").replace("{position}", "1")
    path = path.replace("{month}", "2026-10")
    ids = (
        "project_id", "user_id", "invitation_id", "key_id", "budget_id", "method_id", "payment_id", "invoice_id",
    )  # fmt: skip
    for name in ids:
        path = path.replace("{" + name + "}", str(uuid4()))
    assert "{" not in path
    return path


def body_for(method: str) -> dict[str, str] | None:
    return {"nothing": "expected"} if method in {"POST", "PUT", "PATCH"} else None


def test_every_tenant_route_asks_for_one_permission(plane: ControlPlane) -> None:
    routes = list(api_routes(plane, TENANT_PREFIX))
    assert len(routes) >= 20
    for _, route in routes:
        assert len(permissions_of(route.dependant)) == 1, route.path


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_may_do_what_the_table_says(plane: ControlPlane, people: People, role: Role) -> None:
    owner = await people.owner()
    person = await people.member(owner, role)
    for method, route in api_routes(plane, TENANT_PREFIX):
        if route.path.endswith("/leave"):
            continue
        (permission,) = permissions_of(route.dependant)
        response = await person.call(method, filled(route.path, owner.tenant_id), body_for(method))
        refused = response.status_code == 403 and response.json()["code"] == "permission_missing"
        assert refused == (permission not in PERMISSIONS[role]), (role, method, route.path, response.text)
        assert response.status_code < 500


async def test_a_foreign_tenant_answers_like_a_missing_one(plane: ControlPlane, people: People) -> None:
    stranger, owner = await people.owner(), await people.owner()
    missing = uuid4()
    for method, route in api_routes(plane, TENANT_PREFIX):
        foreign, absent = [
            without_request_id(await stranger.call(method, filled(route.path, tenant_id), body_for(method)))
            for tenant_id in (owner.tenant_id, missing)
        ]
        assert foreign == absent
        assert (foreign[0], foreign[1]["code"]) == (404, "tenant_not_found")


async def saved_method(owner: Person, people: People) -> object:
    path, back = "/api/tenants/{t}/payment-methods", "https://console.example"
    setup = await owner.post(f"{path}/setup", {"provider": "stripe", "return_url": back})
    session_id = setup.json()["session_id"]
    people.plane.payments.complete(session_id)
    return (await owner.post(path, {"provider": "stripe", "session_id": session_id})).json()["id"]


async def objects_of(owner: Person, people: People) -> dict[str, object]:
    """One object of each kind in the owner's tenant."""
    invited = await owner.post("/api/tenants/{t}/invitations", {"email": "x@example.com", "role": "viewer"})
    key = await owner.post("/api/tenants/{t}/keys", {"project_id": str(owner.project_id), "name": "k"})
    member = await people.member(owner, Role.VIEWER)
    ceiling = {"scope": "tenant", "scope_id": str(owner.tenant_id), "period": "month", "limit_nanos": 1}
    budget = await owner.post("/api/tenants/{t}/budgets", ceiling)
    assert (await owner.post("/api/tenants/{t}/subscriptions", {"plan_code": "pro"})).status_code == 201
    return {
        "project_id": owner.project_id,
        "user_id": member.user_id,
        "invitation_id": invited.json()["id"],
        "key_id": key.json()["id"],
        "budget_id": budget.json()["id"],
        "method_id": await saved_method(owner, people),
        "invoice_id": (await owner.get("/api/tenants/{t}/invoices")).json()["data"][0]["id"],
        "provider": "nowhere",
    }


async def test_a_foreign_object_in_the_own_tenant_answers_like_a_missing_one(
    plane: ControlPlane, people: People
) -> None:
    stranger, owner = await people.owner(), await people.owner()
    theirs = await objects_of(owner, people)
    bodies: dict[str, dict[str, object]] = {
        "project_id": {"name": "new"},
        "user_id": {"role": "viewer"},
        "key_id": {"name": "new"},
        "budget_id": {"limit_nanos": 2},
    }
    covered = set()
    for method, route in api_routes(plane, TENANT_PREFIX):
        template = route.path.replace("{position}", "1")
        name = template.rpartition("{")[2].partition("}")[0]
        if name in ("tenant_id", "month"):  # a month is nobody's object
            continue
        covered.add(name)
        body = {} if route.path.endswith("/rotate") else bodies.get(name) if method == "PATCH" else None
        if template.endswith("/pay"):
            body = {"provider": "stripe"}
        if name == "provider" and method == "PUT":
            body = {"key": "sk-0123456789"}
        path = template.replace("{tenant_id}", str(stranger.tenant_id))
        foreign, absent = [
            without_request_id(await stranger.call(method, path.replace("{" + name + "}", str(value)), body))
            for value in (theirs[name], uuid4())
        ]
        assert foreign == absent
        assert foreign[0] == 404, (method, route.path, foreign)
    assert covered == set(theirs)

    keys = [
        without_request_id(await stranger.post("/api/tenants/{t}/keys", {"project_id": str(project), "name": "k"}))
        for project in (owner.project_id, uuid4())
    ]
    assert keys[0] == keys[1]
    assert keys[0][1]["code"] == "project_not_found"


async def test_everything_else_needs_a_session(plane: ControlPlane, people: People) -> None:
    seen = set()
    for method, route in api_routes(plane):
        if (method, route.path) in PUBLIC:
            seen.add((method, route.path))
            continue
        response = await people.client.request(method, filled(route.path, uuid4()), json=body_for(method))
        assert problem(response) == (401, "not_authenticated"), route.path
    assert seen == PUBLIC


async def test_operator_routes_are_for_operators(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    routes = list(api_routes(plane, "/api/operator"))
    assert len(routes) >= 4
    for method, route in routes:
        response = await owner.call(method, filled(route.path, owner.tenant_id), body_for(method))
        assert problem(response) == (403, "operator_required")


async def test_what_is_no_id_is_a_bad_request(people: People) -> None:
    owner = await people.owner()
    assert problem(await owner.get("/api/tenants/nonsense")) == (400, "invalid_request")
    assert problem(await owner.get("/api/tenants/{t}/keys/nonsense")) == (400, "invalid_request")
