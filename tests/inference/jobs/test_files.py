"""Files: upload, list, download, delete; what is refused leaves nothing behind."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.db.system_session import SystemDatabase
from omni.foundation.objects import ObjectStore
from omni.inference.automl.leftovers import kept_name, part_name
from omni.inference.batches import service as batches
from omni.inference.files.service import FileService
from omni.inference.job_work import forget_old_jobs
from omni.inference.jobs import repository
from omni.inference.jobs.repository import NewJob
from omni.inference.jobs.service import JobService
from omni.kit.errors import Conflict, LimitExceeded
from omni.kit.ids import uuid7
from tests.inference.backend import refusal
from tests.inference.jobs.conftest import World

ANCHOR, SECONDS = "expires_after[anchor]", "expires_after[seconds]"


async def test_a_file_comes_back_as_it_was(world: World) -> None:
    data = bytes(range(256)) * 5_000
    file_id = await world.upload(data, "user_data")
    found = await world.get(f"/v1/files/{file_id}")
    assert (found["bytes"], found["filename"], found["purpose"]) == (len(data), "requests.jsonl", "user_data")
    assert (found["object"], found["status"], found["expires_at"]) == ("file", "processed", None)
    response = await world.tenant.send("GET", f"/v1/files/{file_id}/content")
    assert response.content == data
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''requests.jsonl"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_files_are_listed_page_by_page(world: World) -> None:
    ids = [await world.upload(b"x", purpose) for purpose in ("batch", "user_data", "batch")]
    first = await world.get("/v1/files?limit=2")
    assert ([each["id"] for each in first["data"]], first["has_more"]) == ([ids[2], ids[1]], True)
    rest = await world.get(f"/v1/files?limit=2&after={first['last_id']}")
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([ids[0]], False)
    batches = await world.get("/v1/files?purpose=batch&order=asc")
    assert [each["id"] for each in batches["data"]] == [ids[0], ids[2]]


async def test_what_is_deleted_is_gone(world: World, objects: ObjectStore) -> None:
    file_id = await world.upload(b"secret")
    assert (await world.tenant.send("DELETE", f"/v1/files/{file_id}")).json() == {
        "id": file_id, "object": "file", "deleted": True,
    }  # fmt: skip
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await world.tenant.send(method, f"/v1/files/{file_id}{path}")
        assert refusal(answer) == (404, "file_not_found")
    assert await objects.names(world.tenant.tenant_id) == []


async def test_another_tenants_file_is_not_found(world: World) -> None:
    file_id = await world.upload(b"mine")
    other = dataclasses.replace(world.tenant, tenant_id=uuid7())
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert refusal(await other.send(method, f"/v1/files/{file_id}{path}")) == (404, "file_not_found")
    assert (await other.send("GET", "/v1/files")).json()["data"] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "invalid_purpose"),
        ({"purpose": "batch_output"}, "invalid_purpose"),
        ({"purpose": "batch", ANCHOR: "created_at"}, "invalid_expiry"),
        ({"purpose": "batch", SECONDS: "3600"}, "invalid_expiry"),
        ({"purpose": "batch", ANCHOR: "created_at", SECONDS: "1"}, "invalid_expiry"),
        ({"purpose": "batch", ANCHOR: "created_at", SECONDS: "9" * 99}, "invalid_expiry"),
    ],
)
async def test_a_wrong_form_is_refused(world: World, fields: dict[str, str], code: str) -> None:
    answer = await world.tenant.send("POST", "/v1/files", files={"file": ("a", b"x")}, data=fields)
    assert refusal(answer) == (400, code)


@pytest.mark.parametrize("name", ["", "x" * 256])
async def test_a_wrong_name_is_refused(world: World, name: str) -> None:
    files: Any = {"file": (name, b"x")}
    answer = await world.tenant.send("POST", "/v1/files", files=files, data={"purpose": "batch"})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("path", ["/v1/files/nothing", "/v1/files/file-zz", "/v1/files/file-" + "0" * 32])
async def test_an_unknown_id_is_not_found(world: World, path: str) -> None:
    assert refusal(await world.tenant.send("GET", path)) == (404, "file_not_found")


async def test_more_than_the_plan_stores_is_refused_and_leaves_nothing(world: World, objects: ObjectStore) -> None:
    world.tenant.storage_bytes_limit = 10
    kept = await world.upload(b"12345678")
    answer = await world.tenant.send("POST", "/v1/files", files={"file": ("a", b"123")}, data={"purpose": "batch"})
    assert refusal(answer) == (429, "storage_quota_exceeded")
    assert [each["id"] for each in (await world.get("/v1/files"))["data"]] == [kept]
    assert len(await objects.names(world.tenant.tenant_id)) == 1
    assert await world.upload(b"12"), "there is room for this one"


async def test_the_room_of_an_upload_is_counted_once(
    world: World, database_address: DatabaseAddress, objects: ObjectStore
) -> None:
    """Two counts cost twice, and may tell of two moments."""
    await world.upload(b"12345678")
    counts: list[str] = []
    engine = create_engine(database_address.url(Role.APP), "tests-room", PoolSettings(size=1))
    event.listen(
        engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: counts.append(statement) if "size_bytes" in statement else None,
    )
    counted = Database(engine)
    service, tenant_id = FileService(counted, objects), world.tenant.tenant_id
    try:
        for size_bytes in (0, 2):
            counts.clear()
            assert await service.check_room(tenant_id, size_bytes, 10) == 2
            assert len(counts) == 1
        counts.clear()
        with pytest.raises(LimitExceeded, match="8 of the plan's 10"):
            await service.check_room(tenant_id, 3, 10)
        assert len(counts) == 1
        assert await service.check_room(tenant_id, 0, 5) == 0
        assert await service.check_room(tenant_id, 3, None) is None
    finally:
        await counted.close()


async def test_a_file_is_deleted_when_its_time_is_over(
    world: World, database: Database, system_database: SystemDatabase, objects: ObjectStore
) -> None:
    fields = {"purpose": "batch", ANCHOR: "created_at", SECONDS: "3600"}
    made = (await world.tenant.send("POST", "/v1/files", files={"file": ("a", b"x")}, data=fields)).json()
    assert 3_590 <= made["expires_at"] - made["created_at"] <= 3_610
    kept = await world.upload(b"stays")
    now = datetime.now(UTC)
    await forget_old_jobs(database, system_database.session, objects, now)
    assert (await world.get(f"/v1/files/{made['id']}"))["id"] == made["id"]
    await forget_old_jobs(database, system_database.session, objects, now + timedelta(hours=2))
    assert [each["id"] for each in (await world.get("/v1/files"))["data"]] == [kept]
    assert len(await objects.names(world.tenant.tenant_id)) == 1


async def _two_gigabytes(pieces: list[int]) -> AsyncIterator[bytes]:
    """A form with a file of 2 GB, made as it is asked for."""
    yield (
        b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="big.csv"\r\n\r\n'
    )
    for _ in range(2_000):
        pieces.append(1_000_000)
        yield b"0123456789" * 100_000
    yield b"\r\n--x--\r\n"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
async def test_two_gigabytes_without_room_are_refused_and_leave_nothing(
    world: World, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tenant = dataclasses.replace(world.tenant, storage_bytes_limit=5_000_000)
    pieces: list[int] = []
    headers = {"content-type": "multipart/form-data; boundary=x"}
    if announced:
        headers["content-length"] = "2000000200"
    response = await tenant.send("POST", "/v1/files", content=_two_gigabytes(pieces), headers=headers)
    assert refusal(response) == (429, "storage_quota_exceeded")
    assert sum(pieces) <= (0 if announced else 7_000_000), "read no further than there is room"
    assert not list(tmp_path.iterdir())
    assert not await objects.names(tenant.tenant_id)
    listed = await tenant.send("GET", "/v1/files")
    assert listed.json()["data"] == []


async def test_a_file_that_memory_is_not_asked_to_hold(world: World, objects: ObjectStore) -> None:
    data = bytes(range(256)) * 40_000
    file_id = await world.upload(data, "user_data")
    response = await world.tenant.send("GET", f"/v1/files/{file_id}/content")
    assert response.content == data
    assert len(await objects.names(world.tenant.tenant_id)) == 1


async def test_a_file_that_a_batch_would_not_read_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = await world.upload(b"x" * 101)
    monkeypatch.setattr(batches, "MOST_BYTES", 100)
    body = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
    assert refusal(await world.tenant.post("/v1/batches", body)) == (413, "file_too_large")


async def test_what_a_job_kept_for_going_on_is_deleted_a_week_after_its_end(
    world: World, database: Database, system_database: SystemDatabase, objects: ObjectStore
) -> None:
    now, tenant_id = datetime.now(UTC), world.tenant.tenant_id
    new = NewJob("predictions", {}, uuid7(), None, "ab" * 32, None, now + timedelta(days=1), priority=10)
    async with database.write(tenant_id) as session:
        job, _ = await repository.add(session, new)
    async with system_database.session() as session:
        claimed = await repository.claim_next(session, now, now + timedelta(seconds=20))
    assert claimed is not None
    progress = {"kept": ["member-1"], "parts": [0], "rows_done": 5}
    async with database.write(tenant_id) as session:
        assert await repository.end(session, claimed, "cancelled", now, progress=progress)
    for name in (kept_name(job.id, "member-1"), part_name(job.id, 0)):
        await objects.put(tenant_id, name, b"x")
    await forget_old_jobs(database, system_database.session, objects, now + timedelta(days=6))
    assert len(await objects.names(tenant_id)) == 2
    await forget_old_jobs(database, system_database.session, objects, now + timedelta(days=8))
    assert not await objects.names(tenant_id)
    assert (await world.get(f"/v1/jobs/{job.id}"))["progress"] == {"rows_done": 5}
    world.clock.ahead = timedelta(days=7)
    with pytest.raises(Conflict, match="six days"):
        await JobService(database, world.clock).retry(tenant_id, job.id)
