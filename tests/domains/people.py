"""People who use the control plane over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx2
from redis.asyncio import Redis

from omni.domains.identity import facade as identity
from omni.domains.identity.contracts import NewUser
from omni.domains.tenants import facade as tenants
from omni.domains.tenants import repository
from omni.domains.tenants.contracts import NewSignUp
from omni.foundation.authz import Role
from omni.testing.control_plane import ControlPlane

NOWHERE = UUID(int=0)
PASSWORD = "correct horse battery staple"


def new_email() -> str:
    return f"p{uuid4().hex}@example.com"


@dataclass
class Person:
    """Someone with a session."""

    client: httpx2.AsyncClient
    email: str
    user_id: UUID
    token: str = field(repr=False)
    tenant_id: UUID = NOWHERE
    project_id: UUID = NOWHERE

    async def call(self, method: str, path: str, json: Any = None, key: str | None = None) -> httpx2.Response:
        """One request with the session; `{t}` in the path is the person's tenant."""
        headers = {"authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["idempotency-key"] = key
        return await self.client.request(method, path.replace("{t}", str(self.tenant_id)), json=json, headers=headers)

    async def get(self, path: str) -> httpx2.Response:
        return await self.call("GET", path)

    async def post(self, path: str, json: Any = None, key: str | None = None) -> httpx2.Response:
        return await self.call("POST", path, json, key)


@dataclass
class People:
    """Makes persons."""

    plane: ControlPlane
    client: httpx2.AsyncClient

    async def log_in(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        return await self.client.post("/api/auth/login", json={"email": email, "password": password})

    async def owner(self, *, operator: bool = False, tenant_name: str = "Acme") -> Person:
        """Someone verified with a tenant of their own."""
        email = new_email()
        new = NewSignUp(
            email, await self.plane.passwords.hash(PASSWORD), tenant_name, verified=True, is_operator=operator
        )
        async with self.plane.database.shared() as session:
            made = await tenants.sign_up(session, new, self.plane.clock.now())
        token = (await self.log_in(email)).json()["session_token"]
        return Person(self.client, email, made.user_id, token, made.tenant_id, made.project_id)

    async def operator(self) -> Person:
        return await self.owner(operator=True)

    async def loner(self) -> Person:
        """Someone verified without any tenant."""
        user = NewUser(new_email(), await self.plane.passwords.hash(PASSWORD), verified=True)
        async with self.plane.database.shared() as session:
            user_id = await identity.register(session, user, self.plane.clock.now())
        return Person(self.client, user.email, user_id, (await self.log_in(user.email)).json()["session_token"])

    async def member(self, owner: Person, role: Role) -> Person:
        """Someone with a role in the owner's tenant."""
        person = await self.loner()
        async with self.plane.database.write(owner.tenant_id) as session:
            await repository.insert_member(session, person.user_id, role, self.plane.clock.now())
        person.tenant_id, person.project_id = owner.tenant_id, owner.project_id
        return person


def problem(response: httpx2.Response) -> tuple[int, str]:
    """Status and code of an error."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


def without_request_id(response: httpx2.Response) -> tuple[int, dict[str, Any]]:
    """A response with what may differ between two that must be alike taken out."""
    body = response.json()
    body.pop("request_id")
    return response.status_code, body


async def stored(redis: Redis, name: str) -> bytes:
    """What Redis has under a name that must be there."""
    data = await redis.get(name)
    assert isinstance(data, bytes), name
    return data
