"""Deletes objects that no row names: what a process left that died between storing an object and committing its row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from omni.foundation.db.sessions import Database, ReadSession
from omni.foundation.objects import ObjectStore, StoredObject
from omni.inference.automl.leftovers import KEPT, PARTS, kept_name, part_name
from omni.inference.datasets.service import FOLDER as DATASETS
from omni.inference.files.service import FOLDER as FILES
from omni.inference.registry.contracts import FOLDER as MODELS
from omni.inference.storage.repository import lock_storage
from omni.inference.sweeping import repository

LEAST_AGE = timedelta(days=1)
"""Longer than any transaction that has stored an object is open before it commits."""
MOST_EXAMINED, MOST_DELETED = 200_000, 1_000
"""Objects of a run. What is beyond them comes with another run."""
_AT_ONCE = 100
JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a run did."""

    examined: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    complete: bool = True
    """Whether it came to the end of what it was given."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose row would name an object."""

    folder: str
    id: UUID | None
    """Of the file, dataset or job; None for a version, which is found by the object's name."""


class Sweeper:
    """Sweeps tenants. Tenants that it is not given, and folders that it does not know, it leaves alone."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    async def sweep(self, tenant_ids: Iterable[UUID], now: datetime) -> Swept:
        """Deletes what is older than LEAST_AGE and named by no row, up to the bounds of a run."""
        examined = deleted = deleted_bytes = 0
        for tenant_id in tenant_ids:
            async for page in self._objects.pages(tenant_id):
                if examined + len(page) > MOST_EXAMINED:
                    return Swept(examined, deleted, deleted_bytes, complete=False)
                examined += len(page)
                old = [each for each in page if each.changed_at < now - LEAST_AGE]
                async with self._database.read(tenant_id) as session:
                    live = await _live(session, [each.name for each in old], lock=False)
                orphans = [each for each in old if each.name not in live]
                room = MOST_DELETED - deleted
                for first in range(0, min(len(orphans), room), _AT_ONCE):
                    gone = await self._delete(tenant_id, orphans[first : min(first + _AT_ONCE, room)], now)
                    deleted += len(gone)
                    deleted_bytes += sum(each.size_bytes for each in gone)
                if len(orphans) > room:
                    return Swept(examined, deleted, deleted_bytes, complete=False)
        return Swept(examined, deleted, deleted_bytes)

    async def _delete(self, tenant_id: UUID, orphans: Sequence[StoredObject], now: datetime) -> list[StoredObject]:
        """Looks again while nobody can add to what the tenant stores, and deletes what is an orphan then, too."""
        async with self._database.write(tenant_id) as session:
            await lock_storage(session)
            live = await _live(session, [each.name for each in orphans], lock=True)
            gone = []
            for orphan in orphans:
                changed_at = None if orphan.name in live else await self._objects.changed_at(tenant_id, orphan.name)
                if changed_at is not None and changed_at < now - LEAST_AGE:
                    await self._objects.delete(tenant_id, orphan.name)
                    gone.append(orphan)
        return gone


async def _live(session: ReadSession, names: Sequence[str], *, lock: bool) -> set[str]:
    """Those of the names that a row names, that a job may still name, or that are no object of ours."""
    owners = {name: _owner(name) for name in names}
    ids: dict[str, set[UUID]] = defaultdict(set)
    for owner in owners.values():
        if owner is not None and owner.id is not None:
            ids[owner.folder].add(owner.id)
    jobs = await repository.jobs_of(session, ids[JOBS], lock=lock)
    held: Mapping[str, Collection[UUID]] = {
        FILES: await repository.files_of(session, ids[FILES]),
        DATASETS: await repository.datasets_of(session, ids[DATASETS]),
        JOBS: [job_id for job_id, job in jobs.items() if not job.ended],
    }
    versions = [name for name in names if name.startswith(f"{MODELS}/")]
    live = await repository.versions_of(session, versions)
    for job_id, job in jobs.items():
        live.update(kept_name(job_id, each) for each in job.progress.get(KEPT, ()))
        live.update(part_name(job_id, each) for each in job.progress.get(PARTS, ()))
    live.update(name for name, owner in owners.items() if owner is None or owner.id in held.get(owner.folder, ()))
    return live


def _owner(name: str) -> _Owner | None:
    """None for a name that nothing here gives."""
    match name.split("/"):
        case ["files" | "datasets" as folder, number]:
            return _numbered(folder, number)
        case ["jobs", number, _]:
            return _numbered(JOBS, number)
        case ["models", "automl", number]:  # the job that is making it stores it before the version
            return _numbered(JOBS, number)
        case ["models", number]:
            return None if _id(number) is None else _Owner(MODELS, None)
    return None


def _numbered(folder: str, number: str) -> _Owner | None:
    found = _id(number)
    return None if found is None else _Owner(folder, found)


def _id(number: str) -> UUID | None:
    try:
        return UUID(hex=number) if len(number) == 32 else None
    except ValueError:
        return None
