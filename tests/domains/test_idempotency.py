"""Idempotency-Key on the writing routes: one effect, one answer."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from sqlalchemy import text

from omni.testing.control_plane import ControlPlane
from tests.domains.people import PASSWORD, People, new_email, problem

KEYS = "/api/tenants/{t}/keys"


async def test_a_hundred_parallel_posts_have_one_effect_and_one_answer(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    body, key = {"project_id": str(owner.project_id), "name": "k"}, uuid4().hex
    await plane.run_tasks()
    answers = await asyncio.gather(*(owner.post(KEYS, body, key) for _ in range(100)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert len((await owner.get(KEYS)).json()["data"]) == 1
    published = [m for m in await plane.run_tasks() if m.task == "keys.publish_snapshot"]
    assert len(published) == 1

    await plane.redis.flushall()
    again = await owner.post(KEYS, body, key)
    assert again.content == answers[0].content
    assert again.headers["idempotency-replayed"] == "true"


async def test_the_same_key_with_another_request_is_refused(people: People) -> None:
    owner, other = await people.owner(), await people.owner()
    key = uuid4().hex
    body = {"project_id": str(owner.project_id), "name": "k"}
    first = await owner.post(KEYS, body, key)
    refused = (422, "idempotency_key_reused")
    assert problem(await owner.post(KEYS, {**body, "name": "other"}, key)) == refused
    assert problem(await owner.post(f"{KEYS}/{first.json()['id']}/revoke", None, key)) == refused
    foreign = await other.post(KEYS, {"project_id": str(other.project_id), "name": "k"}, key)
    assert foreign.status_code == 201, "keys of one caller never meet those of another"
    assert problem(await owner.post(KEYS, body, "x" * 256)) == (400, "invalid_idempotency_key")


async def test_a_rotation_is_replayed_with_its_secret(people: People) -> None:
    owner = await people.owner()
    made = (await owner.post(KEYS, {"project_id": str(owner.project_id), "name": "k"})).json()
    path, key = f"{KEYS}/{made['id']}/rotate", uuid4().hex
    first, second = await owner.post(path, {}, key), await owner.post(path, {}, key)
    assert first.json()["secret"].startswith("omni_live_")
    assert (first.status_code, first.content) == (second.status_code, second.content)


async def test_a_failure_is_not_kept(people: People) -> None:
    owner = await people.owner()
    key = uuid4().hex
    projects = "/api/tenants/{t}/projects"
    assert problem(await owner.post(projects, {"name": "default"}, key)) == (409, "project_name_taken")
    (default,) = (await owner.get(projects)).json()["data"]
    await owner.call("PATCH", f"{projects}/{default['id']}", {"name": "renamed"})
    assert (await owner.post(projects, {"name": "default"}, key)).status_code == 201


async def test_a_sign_up_is_done_once(plane: ControlPlane, people: People) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "tenant_name": "Acme"}
    headers = {"idempotency-key": uuid4().hex}
    answers = await asyncio.gather(*(people.client.post("/api/signup", json=body, headers=headers) for _ in range(10)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    await plane.run_tasks()
    assert len(plane.mailbox.to(email)) == 1


async def test_what_is_kept_is_sealed(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    key = uuid4().hex
    made = await owner.post(KEYS, {"project_id": str(owner.project_id), "name": "k"}, key)
    async with plane.system_database.session() as session:
        row = await session.first(text("select sealed_body from idempotency_keys where key = :key"), {"key": key})
    assert row is not None
    assert made.json()["secret"].encode() not in row["sealed_body"]
    assert b"secret" not in row["sealed_body"]
