"""Files: kept in the object store, listed in PostgreSQL, counted as storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO
from uuid import UUID

from omni.foundation.db.sessions import Database, SystemSession
from omni.foundation.objects import ObjectStore
from omni.inference.files import repository
from omni.inference.files.errors import file_not_found
from omni.inference.files.repository import NewFile
from omni.inference.files.schemas import PREFIX, DeletedFile, File, FileList
from omni.inference.storage.repository import lock_storage, require_room, room_for
from omni.kit.errors import NotFound, TooLarge
from omni.kit.ids import from_prefixed_id

FOLDER = "files"
_EXPIRED_AT_ONCE = 500


class FileService:
    """The calling tenant's files. What belongs to another tenant is not found."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    async def check_room(self, tenant_id: UUID, size_bytes: int, limit_bytes: int | None) -> int | None:
        """How many bytes there is room for; None = as many as wanted. Raises LimitExceeded `storage_quota_exceeded`
        when so many have none, as things are."""
        if limit_bytes is None:
            return None
        async with self._database.read(tenant_id) as session:
            return await room_for(session, size_bytes, limit_bytes)

    async def add(self, tenant_id: UUID, new: NewFile, data: bytes | IO[bytes], limit_bytes: int | None) -> File:
        """Stores a file, piece by piece; whoever reads it from a request has asked `check_room` before. Raises
        LimitExceeded `storage_quota_exceeded`; whatever is raised, nothing is stored."""
        try:
            await self._objects.put(tenant_id, _object_name(new.id), data)
            async with self._database.write(tenant_id) as session:
                await lock_storage(session)
                await require_room(session, new.size_bytes, limit_bytes)
                return await repository.add(session, new)
        except BaseException:
            with suppress(Exception):
                await self._objects.delete(tenant_id, _object_name(new.id))
            raise

    async def put_output(self, tenant_id: UUID, new: NewFile, path: Path) -> File:
        """Stores what a job made, whatever the plan's limit. The same file again, after a crash, replaces itself."""
        async with self._database.write(tenant_id) as session:
            await lock_storage(session)
            file = await repository.add(session, new)
            await self._objects.put(tenant_id, _object_name(new.id), path)
        return file

    async def list(
        self, tenant_id: UUID, purpose: str | None, limit: int, after: str | None, order: repository.Order
    ) -> FileList:
        """One page. Raises NotFound when `after` is no file's id."""
        cursor = None if after is None else _id(after)
        async with self._database.read(tenant_id) as session:
            found = await repository.page(session, purpose, limit + 1, cursor, order)
        page = found[:limit]
        return FileList(
            data=page,
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=len(found) > limit,
        )

    async def get(self, tenant_id: UUID, file_id: str) -> File:
        """Raises NotFound `file_not_found`."""
        async with self._database.read(tenant_id) as session:
            found = await repository.find(session, _id(file_id))
        if found is None:
            raise file_not_found()
        return found

    async def content(self, tenant_id: UUID, file_id: str, most_bytes: int) -> bytes:
        """All of a file. Raises NotFound `file_not_found`, TooLarge `file_too_large`."""
        require_size(await self.get(tenant_id, file_id), most_bytes)
        return await self._objects.get(tenant_id, _object_name(_id(file_id)))

    async def stream(self, tenant_id: UUID, file_id: str) -> AsyncIterator[bytes]:
        """A file piece by piece. Raises NotFound `file_not_found`."""
        await self.get(tenant_id, file_id)
        return await self._objects.stream(tenant_id, _object_name(_id(file_id)))

    async def delete(self, tenant_id: UUID, file_id: str) -> DeletedFile:
        """Raises NotFound `file_not_found`."""
        await self._remove(tenant_id, _id(file_id))
        return DeletedFile(id=file_id)

    async def forget_expired(
        self, open_system: Callable[[], AbstractAsyncContextManager[SystemSession]], now: datetime
    ) -> int:
        """Deletes what is over its time; returns how many."""
        async with open_system() as session:
            found = await repository.expired(session, now, _EXPIRED_AT_ONCE)
        for tenant_id, file_id in found:
            with suppress(NotFound):  # somebody was faster
                await self._remove(tenant_id, file_id)
        return len(found)

    async def _remove(self, tenant_id: UUID, file_id: UUID) -> None:
        async with self._database.write(tenant_id) as session:
            if not await repository.remove(session, file_id):
                raise file_not_found()
        await self._objects.delete(tenant_id, _object_name(file_id))


def require_size(file: File, most_bytes: int) -> None:
    """Raises TooLarge `file_too_large` for more than whoever reads it holds in memory."""
    if file.bytes > most_bytes:
        raise TooLarge(
            "file_too_large",
            f"The file has {file.bytes} bytes; at most {most_bytes} are read here. Split it.",
            max_bytes=most_bytes,
        )


def _id(value: str) -> UUID:
    found = from_prefixed_id(PREFIX, value)
    if found is None:
        raise file_not_found()
    return found


def _object_name(file_id: UUID) -> str:
    return f"{FOLDER}/{file_id.hex}"
