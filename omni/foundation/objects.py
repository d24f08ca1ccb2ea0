"""Files: one object store, a folder on this machine or a bucket elsewhere, each tenant under its own prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from uuid import UUID

import obstore
from obstore.store import LocalStore, MemoryStore, from_url

from omni.kit.errors import NotFound

_PIECE_BYTES = 256 * 1024
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    name: str
    size_bytes: int
    changed_at: datetime
    """When it was put there last, by the store's clock."""


class ObjectStore:
    """Puts, gets, lists and deletes whole objects of a tenant."""

    def __init__(self, url: str) -> None:
        """`file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `memory:///`. Raises obstore's errors."""
        if url.startswith("file://"):
            folder = Path(url.removeprefix("file://"))
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store: obstore.store.ObjectStore = LocalStore(folder)
        elif url.startswith("memory:"):
            self._store = MemoryStore()
        else:
            self._store = from_url(url)

    async def put(self, tenant_id: UUID, name: str, data: bytes | Path | IO[bytes]) -> None:
        """Replaces what is there, by bytes or by what a file holds, which is read piece by piece. `name` may have
        folders (`documents/…`), never `..`."""
        await obstore.put_async(self._store, _path(tenant_id, name), data)

    async def get(self, tenant_id: UUID, name: str) -> bytes:
        """Raises NotFound."""
        try:
            result = await obstore.get_async(self._store, _path(tenant_id, name))
        except FileNotFoundError:
            raise NotFound("object_not_found", "No such file.") from None
        return bytes(await result.bytes_async())

    async def stream(self, tenant_id: UUID, name: str) -> AsyncIterator[bytes]:
        """An object piece by piece. Raises NotFound."""
        try:
            result = await obstore.get_async(self._store, _path(tenant_id, name))
        except FileNotFoundError:
            raise NotFound("object_not_found", "No such file.") from None

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in result.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)

        return pieces()

    async def names(self, tenant_id: UUID) -> list[str]:
        """The names of all objects of a tenant."""
        found = await obstore.list(self._store, f"{tenant_id}/").collect_async()
        return sorted(each["path"].removeprefix(f"{tenant_id}/") for each in found)

    async def pages(self, tenant_id: UUID) -> AsyncIterator[list[StoredObject]]:
        """All objects of a tenant, 1,000 at a time."""
        prefix = f"{tenant_id}/"
        async for page in obstore.list(self._store, prefix, chunk_size=_PAGE):
            yield [
                StoredObject(each["path"].removeprefix(prefix), each["size"], each["last_modified"]) for each in page
            ]

    async def changed_at(self, tenant_id: UUID, name: str) -> datetime | None:
        """When it was put there last; None for what is not there."""
        try:
            return (await obstore.head_async(self._store, _path(tenant_id, name)))["last_modified"]
        except FileNotFoundError:
            return None

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """Removing what is not there is no error."""
        try:
            await obstore.delete_async(self._store, _path(tenant_id, name))
        except FileNotFoundError:
            return


def _path(tenant_id: UUID, name: str) -> str:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"not an object name: {name!r}")
    return f"{tenant_id}/{name}"
