"""API keys, one case per outcome."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from omni.contracts.redis_names import INVALIDATE_CHANNEL, key_snapshot
from omni.contracts.snapshots import KEY_PREFIXES, KeySnapshot
from omni.domains.keys import facade
from omni.domains.keys.contracts import NewKey
from omni.kit.errors import NotFound
from omni.kit.ids import is_well_formed
from omni.testing.control_plane import ControlPlane
from tests.domains.people import People, Person, problem, stored

KEYS = "/api/tenants/{t}/keys"


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def make_key(person: Person, **members: Any) -> dict[str, Any]:
    response = await person.post(KEYS, {"project_id": str(person.project_id), "name": "k", **members})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def snapshot_of(plane: ControlPlane, secret: str) -> KeySnapshot:
    await plane.run_tasks()
    return KeySnapshot.from_json(await stored(plane.redis, key_snapshot(digest_of(secret))))


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


async def test_a_key_is_shown_once_and_reaches_the_gateways(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    expires_at = plane.clock.now() + timedelta(days=30)
    made = await make_key(
        owner,
        name="shop",
        mode="test",
        scopes=["inference", "collections:read", "inference"],
        networks=["10.0.0.0/8", "2001:DB8::1"],
        expires_at=expires_at.isoformat(),
    )
    secret = made.pop("secret")
    assert secret.startswith("omni_test_")
    assert is_well_formed(secret, KEY_PREFIXES)
    assert (made["prefix"], made["last4"], made["status"]) == (secret[:14], secret[-4:], "active")
    assert made["networks"] == ["10.0.0.0/8", "2001:db8::1/128"]
    shown = await owner.get(f"{KEYS}/{made['id']}")
    assert shown.json() == made
    assert secret not in shown.text
    assert await snapshot_of(plane, secret) == KeySnapshot(
        key_id=UUID(made["id"]),
        tenant_id=owner.tenant_id,
        project_id=owner.project_id,
        mode="test",
        scopes=frozenset({"inference", "collections:read"}),
        networks=("10.0.0.0/8", "2001:db8::1/128"),
        expires_at_micros=micros(expires_at),
        revoked=False,
    )


async def test_a_key_without_wishes_is_live_for_everything_and_for_ever(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    secret = (await make_key(owner))["secret"]
    snapshot = await snapshot_of(plane, secret)
    assert (snapshot.mode, snapshot.scopes, snapshot.networks) == ("live", frozenset("*"), ())
    assert snapshot.expires_at_micros is None


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"scopes": ["everything"]}, "invalid_scopes"),
        ({"scopes": []}, "invalid_scopes"),
        ({"networks": ["10.0.0.1/8"]}, "invalid_networks"),
        ({"networks": ["example.com"]}, "invalid_networks"),
        ({"networks": [f"10.0.0.{n}" for n in range(51)]}, "invalid_request"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "invalid_expiry"),
        ({"expires_at": "2099-01-01T00:00:00"}, "invalid_request"),
        ({"mode": "prod"}, "invalid_request"),
        ({"name": ""}, "invalid_request"),
        ({"secret": "omni_live_mine"}, "invalid_request"),
        ({"project_id": "nonsense"}, "invalid_request"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(people: People, members: dict[str, Any], code: str) -> None:
    owner = await people.owner()
    response = await owner.post(KEYS, {"project_id": str(owner.project_id), "name": "k", **members})
    assert problem(response) == (400, code)


async def test_keys_come_in_pages_newest_first(people: People) -> None:
    owner = await people.owner()
    made = [(await make_key(owner, name=f"k{n}"))["id"] for n in range(5)]
    seen, path = [], f"{KEYS}?limit=2"
    while True:
        page = (await owner.get(path)).json()
        assert len(page["data"]) <= 2
        seen += [key["id"] for key in page["data"]]
        if page["next_cursor"] is None:
            break
        path = f"{KEYS}?limit=2&cursor={page['next_cursor']}"
    assert seen == made[::-1]
    for wrong in ("limit=0", "limit=101", "cursor=x"):
        assert problem(await owner.get(f"{KEYS}?{wrong}")) == (400, "invalid_request")


async def test_narrowing_a_key_reaches_the_gateways(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    made = await make_key(owner)
    path = f"{KEYS}/{made['id']}"
    body = {"name": "narrow", "scopes": ["inference"], "networks": ["203.0.113.7"]}
    changed = (await owner.call("PATCH", path, body)).json()
    assert (changed["name"], changed["scopes"], changed["networks"]) == ("narrow", ["inference"], ["203.0.113.7/32"])
    snapshot = await snapshot_of(plane, made["secret"])
    assert (snapshot.scopes, snapshot.networks) == (frozenset({"inference"}), ("203.0.113.7/32",))
    assert problem(await owner.call("PATCH", path, {"mode": "test"})) == (400, "invalid_request")
    assert (await owner.call("PATCH", path, {})).json() == changed
    opened = (await owner.call("PATCH", path, {"networks": []})).json()
    assert opened["networks"] == []


async def test_revoking_is_for_good_and_reaches_the_gateways(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    made = await make_key(owner)
    await plane.run_tasks()
    async with plane.redis.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(INVALIDATE_CHANNEL)
        await channel.get_message(ignore_subscribe_messages=False, timeout=5)
        first = (await owner.post(f"{KEYS}/{made['id']}/revoke")).json()
        assert first["status"] == "revoked"
        assert (await snapshot_of(plane, made["secret"])).revoked
        message = await channel.get_message(timeout=5)
        assert message is not None
        assert message["data"] == f"key {digest_of(made['secret'])}".encode()
    plane.clock.advance(timedelta(hours=1))
    assert (await owner.post(f"{KEYS}/{made['id']}/revoke")).json() == first
    assert problem(await owner.post(f"{KEYS}/{made['id']}/rotate", {})) == (409, "key_ended")


async def test_after_a_rotation_both_work_until_the_overlap_ends(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    old = await make_key(owner, name="shop", mode="test", scopes=["inference"], networks=["10.0.0.0/8"])
    ends_at = plane.clock.now() + timedelta(hours=1)
    rotated = await owner.post(f"{KEYS}/{old['id']}/rotate", {"overlap_seconds": 3600})
    new = rotated.json()
    assert rotated.status_code == 201
    assert new["secret"] != old["secret"]
    for name in ("project_id", "name", "mode", "scopes", "networks", "expires_at"):
        assert new[name] == old[name]
    before, after = await snapshot_of(plane, old["secret"]), await snapshot_of(plane, new["secret"])
    assert (before.expires_at_micros, before.revoked) == (micros(ends_at), False)
    assert (after.expires_at_micros, after.revoked) == (None, False)

    shown = (await owner.get(f"{KEYS}/{old['id']}")).json()
    assert (shown["status"], shown["rotated_to"]) == ("rotated", new["id"])
    plane.clock.advance(timedelta(hours=1))
    assert (await owner.get(f"{KEYS}/{old['id']}")).json()["status"] == "expired"
    assert (await owner.get(f"{KEYS}/{new['id']}")).json()["status"] == "active"


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    old = await make_key(owner)
    await owner.post(f"{KEYS}/{old['id']}/rotate", {"overlap_seconds": 0})
    assert (await snapshot_of(plane, old["secret"])).expires_at_micros == micros(plane.clock.now())
    assert (await owner.get(f"{KEYS}/{old['id']}")).json()["status"] == "expired"


async def test_an_expiry_before_the_end_of_the_overlap_holds(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    expires_at = plane.clock.now() + timedelta(minutes=5)
    old = await make_key(owner, expires_at=expires_at.isoformat())
    new = (await owner.post(f"{KEYS}/{old['id']}/rotate", {})).json()
    for key in (old, new):
        assert (await snapshot_of(plane, key["secret"])).expires_at_micros == micros(expires_at)
    plane.clock.advance(timedelta(minutes=5))
    assert problem(await owner.post(f"{KEYS}/{new['id']}/rotate", {})) == (409, "key_ended")


async def test_a_key_is_rotated_once_even_in_parallel(people: People) -> None:
    owner = await people.owner()
    old = await make_key(owner)
    answers = await asyncio.gather(*(owner.post(f"{KEYS}/{old['id']}/rotate", {}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert problem(await owner.post(f"{KEYS}/{old['id']}/rotate", {})) == (409, "key_already_rotated")
    assert len((await owner.get(KEYS)).json()["data"]) == 2


@pytest.mark.parametrize("seconds", [-1, 7 * 86400 + 1, "soon", None])
async def test_an_overlap_that_makes_no_sense_is_refused(people: People, seconds: object) -> None:
    owner = await people.owner()
    response = await owner.post(f"{KEYS}/{uuid4()}/rotate", {"overlap_seconds": seconds})
    assert problem(response) == (400, "invalid_request")


async def test_a_project_with_active_keys_stays(people: People) -> None:
    owner = await people.owner()
    await owner.post("/api/tenants/{t}/projects", {"name": "other"})
    path = f"/api/tenants/{{t}}/projects/{owner.project_id}"
    made = await make_key(owner)
    assert problem(await owner.call("DELETE", path)) == (409, "project_in_use")
    await owner.post(f"{KEYS}/{made['id']}/revoke")
    assert (await owner.call("DELETE", path)).status_code == 204
    assert (await owner.get(f"{KEYS}/{made['id']}")).json()["status"] == "revoked"


async def test_the_last_use_only_moves_forward(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    first, second = await make_key(owner), await make_key(owner)
    now = plane.clock.now()
    later = now + timedelta(minutes=1)
    ids = [(owner.tenant_id, UUID(key["id"])) for key in (first, second)]
    for uses in ({ids[0]: later, ids[1]: now}, {ids[0]: now, (owner.tenant_id, uuid4()): now}, {}):
        async with plane.system_database.session() as session:
            await facade.record_last_used(session, uses)
    shown = [(await owner.get(f"{KEYS}/{key['id']}")).json()["last_used_at"] for key in (first, second)]
    assert [datetime.fromisoformat(moment) for moment in shown] == [later, now]


async def test_all_snapshots_are_written_page_by_page(
    plane: ControlPlane, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await make_key(owner) for owner in [await people.owner(), await people.owner()] for _ in range(3)]
    monkeypatch.setattr("omni.domains.keys.service.snapshots.PAGE", 2)
    count = await facade.publish_all(plane.system_database.session, plane.redis)
    assert count == len(await plane.redis.keys("omni:key:*"))
    for key in made:
        data = await stored(plane.redis, key_snapshot(digest_of(key["secret"])))
        assert KeySnapshot.from_json(data).key_id == UUID(key["id"])


async def test_a_snapshot_waits_for_the_change_that_is_under_way(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    made = await make_key(owner)
    (message,) = [m for m in await plane.run_tasks() if m.args.get("key_id") == made["id"]]
    async with plane.database.write(owner.tenant_id) as session:
        await facade.revoke_key(session, UUID(made["id"]), plane.clock.now())
        publishing = asyncio.create_task(plane.run_one(message))
        async with asyncio.timeout(4), plane.system_database.session() as watcher:
            while not await watcher.scalar(text("select count(*) from pg_locks where not granted")):
                assert not publishing.done(), "it must wait for the row"
    await publishing
    data = await stored(plane.redis, key_snapshot(digest_of(made["secret"])))
    assert KeySnapshot.from_json(data).revoked


async def test_a_key_can_be_made_without_a_user(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    async with plane.database.write(owner.tenant_id) as session:
        created = await facade.create_key(session, NewKey(owner.project_id, "cli", "live"), plane.clock.now())
    assert created.secret not in repr(created)
    assert (await snapshot_of(plane, created.secret)).tenant_id == owner.tenant_id
    async with plane.database.write(owner.tenant_id) as session:
        with pytest.raises(NotFound):
            await facade.create_key(session, NewKey(uuid4(), "cli", "live"), plane.clock.now())


async def test_a_keys_own_limits_are_set_kept_by_a_rotation_and_lifted(plane: ControlPlane, people: People) -> None:
    owner = await people.owner()
    limits = {"requests_per_minute": 5, "tokens_per_minute": 100, "concurrent_requests": 2, "models": ["a", "b"]}
    body = {"project_id": str(owner.project_id), "name": "k", **limits}
    made = (await owner.post("/api/tenants/{t}/keys", body)).json()
    assert {name: made[name] for name in limits} == limits
    rotated = (await owner.post(f"/api/tenants/{{t}}/keys/{made['id']}/rotate", {})).json()
    assert {name: rotated[name] for name in limits} == limits
    path = f"/api/tenants/{{t}}/keys/{rotated['id']}"
    edited = (await owner.call("PATCH", path, {"tokens_per_minute": None, "concurrent_requests": 9})).json()
    assert {name: edited[name] for name in limits} == {**limits, "tokens_per_minute": None, "concurrent_requests": 9}
    await plane.run_tasks()
    digest = hashlib.sha256(rotated["secret"].encode()).hexdigest()
    snapshot = KeySnapshot.from_json(await stored(plane.redis, key_snapshot(digest)))
    assert (snapshot.requests_per_minute, snapshot.tokens_per_minute) == (5, None)
    assert (snapshot.concurrent_requests, snapshot.models) == (9, frozenset("ab"))
