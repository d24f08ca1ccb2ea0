"""What no row names is deleted when it is a day old; nothing else ever is."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.automl.leftovers import kept_name, part_name
from omni.inference.files.repository import NewFile
from omni.inference.files.service import FileService
from omni.inference.jobs import repository as jobs
from omni.inference.jobs.repository import NewJob
from omni.inference.storage.repository import lock_storage
from omni.inference.sweeping import service as sweeping
from omni.inference.sweeping.service import Sweeper, Swept
from omni.kit.ids import uuid7
from tests.inference.backend import Backend
from tests.inference.onnx_files import linear
from tests.inference.registry.conftest import Registry

TABLE = b"age,left\n" + b"".join(b"%d,%d\n" % (20 + n, n % 2) for n in range(60))


@dataclasses.dataclass
class Place:
    """A tenant, its objects in a folder of the test's, and who sweeps them."""

    tenant: Backend
    database: Database
    objects: ObjectStore
    folder: Path

    @property
    def tenant_id(self) -> UUID:
        return self.tenant.tenant_id

    async def put(self, *names: str) -> None:
        for name in names:
            await self.objects.put(self.tenant_id, name, b"data")

    def age(self, hours: float) -> None:
        """All objects of the tenant were put there so long ago."""
        moment = datetime.now(UTC).timestamp() - hours * 3_600
        for path in (self.folder / str(self.tenant_id)).rglob("*"):
            os.utime(path, (moment, moment))

    async def sweep(self) -> Swept:
        return await Sweeper(self.database, self.objects).sweep([self.tenant_id], datetime.now(UTC))

    async def names(self) -> list[str]:
        return await self.objects.names(self.tenant_id)

    async def job(self, state: str, progress: str = "{}") -> UUID:
        new = NewJob("automl", {}, uuid7(), None, "ab" * 32, None, datetime.now(UTC) + timedelta(days=1))
        async with self.database.write(self.tenant_id) as session:
            job, _ = await jobs.add(session, new)
            await session.execute(
                text(
                    "update jobs set state = :state, progress = cast(:progress as jsonb), ended_at = :ended "
                    "where id = :id"
                ),
                {"state": state, "progress": progress, "id": job.id,
                 "ended": None if state in ("queued", "running") else datetime.now(UTC)},
            )  # fmt: skip
        return job.id


@pytest.fixture
def place(stored: Backend, database: Database, objects: ObjectStore, objects_folder: Path) -> Place:
    return Place(dataclasses.replace(stored, tenant_id=uuid7()), database, objects, objects_folder)


async def _everything(place: Place) -> None:
    """A file, a dataset and a model's version."""
    sent = await place.tenant.send("POST", "/v1/files", files={"file": ("a.csv", TABLE)}, data={"purpose": "dataset"})
    made = await place.tenant.post("/v1/datasets", {"name": "people", "file_id": sent.json()["id"]})
    assert made.status_code == 201, made.text
    await Registry(place.tenant).model("line", linear([[1.0], [2.0]]))


async def test_orphans_of_every_kind_go_and_what_rows_name_stays(place: Place) -> None:
    await _everything(place)
    live = await place.names()
    assert sorted(name.partition("/")[0] for name in live) == ["datasets", "files", "models"]
    orphans = [f"{folder}/{uuid7().hex}" for folder in ("files", "datasets", "models", "models/automl")]
    orphans.append(kept_name(uuid7(), "member-1"))
    await place.put(*orphans)
    place.age(hours=25)
    swept = await place.sweep()
    assert (swept.examined, swept.deleted, swept.deleted_bytes, swept.complete) == (8, 5, 20, True)
    assert await place.names() == live
    assert (await place.sweep()).deleted == 0
    (file,) = (await place.tenant.send("GET", "/v1/files")).json()["data"]
    assert (await place.tenant.send("GET", f"/v1/files/{file['id']}/content")).content == TABLE


async def test_what_is_younger_than_a_day_stays(place: Place) -> None:
    name = f"files/{uuid7().hex}"
    await place.put(name)
    place.age(hours=23)
    assert (await place.sweep()).deleted == 0
    assert await place.names() == [name]


async def test_names_that_nothing_here_gives_stay(place: Place) -> None:
    names = ["notes/readme.txt", "files/readme.txt", "models/old/x", f"files/{uuid7().hex}/deep", f"models/{'z' * 32}"]
    await place.put(*names)
    place.age(hours=1_000)
    assert (await place.sweep()).deleted == 0
    assert await place.names() == sorted(names)


async def test_a_job_keeps_what_it_names_and_one_that_has_not_ended_keeps_all(place: Place) -> None:
    running, queued = await place.job("running"), await place.job("queued")
    failed = await place.job("failed", '{"kept": ["member-1"], "parts": [50]}')
    kept = [
        kept_name(running, "member-9"), part_name(queued, 0), f"models/automl/{running.hex}",
        kept_name(failed, "member-1"), part_name(failed, 50),
    ]  # fmt: skip
    await place.put(*kept, kept_name(failed, "member-2"), part_name(failed, 100), f"models/automl/{failed.hex}")
    place.age(hours=48)
    assert (await place.sweep()).deleted == 3
    assert await place.names() == sorted(kept)


async def test_a_file_whose_process_was_killed_between_put_and_commit_goes(
    place: Place, database_address: DatabaseAddress
) -> None:
    """The process is held where it waits for the lock that comes after storing the object, and killed there."""
    file_id = uuid7()
    dsn = database_address.url(Role.APP).render_as_string(hide_password=False)
    arguments = [dsn, str(place.folder), str(place.tenant_id), str(file_id)]
    async with place.database.write(place.tenant_id) as session:
        await lock_storage(session)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.inference.sweeping.dying", *arguments
        )
        await _until_waiting(place.database, 1)
        name = next(iter(await place.names()), "")
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
    assert name == f"files/{file_id.hex}"
    assert (await place.tenant.send("GET", "/v1/files")).json()["data"] == []
    assert (await place.sweep()).deleted == 0, "it could be about to commit"
    place.age(hours=25)
    assert (await place.sweep()).deleted == 1
    assert await place.names() == []


async def test_what_is_stored_again_while_it_is_swept_stays(place: Place) -> None:
    """A job's output has the same name each time: one that is stored anew just before it would be deleted has a row by
    the time that the sweeper may look again."""
    file_id = uuid7()
    await place.put(f"files/{file_id.hex}")
    place.age(hours=48)
    path = place.folder / "output"
    path.write_bytes(b"output")
    files = FileService(place.database, place.objects)
    new = NewFile(file_id, place.tenant_id, "output.jsonl", "batch_output", 6, None)
    async with place.database.write(place.tenant_id) as session:
        await lock_storage(session)
        storing = asyncio.create_task(files.put_output(place.tenant_id, new, path))
        await _until_waiting(place.database, 1)
        sweep = asyncio.create_task(place.sweep())
        await _until_waiting(place.database, 2)
    await storing
    assert (await sweep).deleted == 0
    assert await place.objects.get(place.tenant_id, f"files/{file_id.hex}") == b"output"


async def test_a_job_that_is_put_back_while_it_is_swept_keeps_what_it_has(place: Place) -> None:
    job_id, now = await place.job("failed"), datetime.now(UTC)
    await place.put(kept_name(job_id, "member-1"))
    place.age(hours=48)
    async with place.database.write(place.tenant_id) as session:
        assert await jobs.put_back(session, job_id, now + timedelta(days=1), now - timedelta(days=1))
        sweep = asyncio.create_task(place.sweep())
        await _until_waiting(place.database, 1, "transactionid")
    assert (await sweep).deleted == 0
    assert len(await place.names()) == 1


async def _until_waiting(database: Database, count: int, kind: str = "advisory") -> None:
    """So many wait for a lock of this kind."""
    async with asyncio.timeout(30):
        while True:
            async with database.shared() as session:
                waiting = "select count(*) from pg_locks where locktype = :kind and not granted"
                if await session.scalar(text(waiting), {"kind": kind}) >= count:
                    return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("bound", "value", "deleted"), [("MOST_DELETED", 4, 4), ("MOST_EXAMINED", 5, 0)], ids=["deleted", "examined"]
)
async def test_a_run_is_bounded(
    place: Place, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, deleted: int
) -> None:
    await place.put(*(f"files/{uuid7().hex}" for _ in range(7)))
    place.age(hours=25)
    monkeypatch.setattr(sweeping, bound, value)
    swept = await place.sweep()
    assert (swept.deleted, swept.complete) == (deleted, False)
    monkeypatch.undo()
    assert (await place.sweep()).deleted == 7 - deleted
    assert await place.names() == []


async def test_other_tenants_objects_are_no_orphans_of_this_one(place: Place) -> None:
    other = dataclasses.replace(place, tenant=dataclasses.replace(place.tenant, tenant_id=uuid7()))
    await _everything(other)
    other.age(hours=25)
    live: Sequence[str] = await other.names()
    await place.put(*live)
    place.age(hours=25)
    assert (await place.sweep()).deleted == 3, "named by rows of another tenant"
    assert await other.names() == live
