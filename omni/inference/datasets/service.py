"""Datasets of the calling tenant: made of a file, looked up, compared, deleted."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from omni.contracts.principal import Principal
from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.datasets import repository
from omni.inference.datasets.errors import dataset_not_found
from omni.inference.datasets.reading import ReadTable, TableReader
from omni.inference.datasets.repository import NewDataset
from omni.inference.datasets.schemas import (
    PURPOSE,
    Dataset,
    DatasetDriftRequest,
    DatasetList,
    DatasetRequest,
    Format,
)
from omni.inference.files.schemas import PREFIX as FILE_PREFIX
from omni.inference.files.service import FileService
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.storage.repository import lock_storage, require_room
from omni.inference.tabular.profiling.schemas import DriftResponse
from omni.kit.errors import InvalidInput
from omni.kit.ids import from_prefixed_id, uuid7

if TYPE_CHECKING:
    from omni.inference.datasets.drift import DatasetDrift

FOLDER = "datasets"
FORMATS: dict[str, Format] = {"csv": "csv", "parquet": "parquet", "jsonl": "jsonl", "ndjson": "jsonl"}
MOST_BYTES = 256 * 1024 * 1024  # of a file
LEAST_ROWS_OF_SAMPLES = 8


class DatasetService:
    """What belongs to another tenant is not found."""

    def __init__(self, database: Database, objects: ObjectStore, files: FileService, pool: EnginePool) -> None:
        self._database = database
        self._objects = objects
        self._files = files
        self._pool = pool
        self._reader = TableReader(pool)
        self._drift: LazyEngine[DatasetDrift] = LazyEngine(
            "omni.inference.datasets.drift", lambda module: module.DatasetDrift()
        )

    async def create(self, call: Call, request: DatasetRequest) -> Dataset:
        """Reads the file and keeps its table. Whatever is raised, nothing is kept.

        Raises NotFound `file_not_found`, InvalidInput, TooLarge, LimitExceeded `storage_quota_exceeded`.
        """
        who = call.principal
        file = await self._files.get(who.tenant_id, request.file_id)
        if file.purpose != PURPOSE:
            raise InvalidInput("wrong_file_purpose", f"Upload the file with the purpose `{PURPOSE}`.", param="file_id")
        file_format = request.format or _format_of(file.filename)
        data = await self._files.content(who.tenant_id, request.file_id, MOST_BYTES)
        table = await self._reader.read(call, data, file_format)
        file_id = from_prefixed_id(FILE_PREFIX, request.file_id)
        assert file_id is not None
        new = NewDataset(
            uuid7(), who.project_id, request.name, file_id, hashlib.sha256(data).hexdigest(), file_format, table.rows,
            table.columns, table.profile, len(table.parquet),
        )  # fmt: skip
        return await self._store(who, new, table)

    async def list(self, tenant_id: UUID, limit: int, cursor: UUID | None) -> DatasetList:
        """One page, newest first."""
        async with self._database.read(tenant_id) as session:
            found = await repository.page(session, limit + 1, cursor)
        return DatasetList(data=found[:limit], next_cursor=found[limit - 1].id if len(found) > limit else None)

    async def get(self, tenant_id: UUID, dataset_id: UUID, param: str = "dataset_id") -> Dataset:
        """Raises NotFound `dataset_not_found`."""
        async with self._database.read(tenant_id) as session:
            found = await repository.find(session, dataset_id)
        if found is None:
            raise dataset_not_found(param)
        return found

    async def parquet(self, tenant_id: UUID, dataset_id: UUID) -> bytes:
        """The table of a dataset that is there. Raises NotFound when it was deleted meanwhile."""
        return await self._objects.get(tenant_id, _object_name(dataset_id))

    async def delete(self, tenant_id: UUID, dataset_id: UUID) -> None:
        """Models that were trained on it stay. Raises NotFound `dataset_not_found`."""
        async with self._database.write(tenant_id) as session:
            if not await repository.remove(session, dataset_id):
                raise dataset_not_found()
        await self._objects.delete(tenant_id, _object_name(dataset_id))

    async def compare(self, call: Call, dataset_id: UUID, request: DatasetDriftRequest) -> DriftResponse:
        """Drift by column, as `/v1/tabular/drift` measures it. Raises NotFound `dataset_not_found`, InvalidInput
        `samples_differ`."""
        tenant_id = call.principal.tenant_id
        reference = await self.get(tenant_id, dataset_id)
        current = await self.get(tenant_id, request.current_dataset_id, "current_dataset_id")
        names = _compared(reference, current, request.columns)
        sides = [(each, await self.parquet(tenant_id, each.id)) for each in (reference, current)]

        def work() -> DriftResponse:
            return self._drift.get().compare(sides, names, request.significance, call.seconds_left)

        response = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{response.engine}/drift"
        return response

    async def _store(self, who: Principal, new: NewDataset, table: ReadTable) -> Dataset:
        stored = False
        try:
            async with self._database.write(who.tenant_id) as session:
                await lock_storage(session)
                await require_room(session, new.size_bytes, who.storage_bytes_limit)
                dataset = await repository.add(session, new)
                stored = True
                await self._objects.put(who.tenant_id, _object_name(new.id), table.parquet)
        except BaseException:
            if stored:
                with suppress(Exception):
                    await self._objects.delete(who.tenant_id, _object_name(new.id))
            raise
        return dataset


def _format_of(name: str) -> Format:
    found = FORMATS.get(name.rpartition(".")[2].lower())
    if found is None:
        raise InvalidInput(
            "format_unknown", "The file's name does not say what it is: send `format` as csv, parquet or jsonl.",
            param="format",
        )  # fmt: skip
    return found


def _compared(reference: Dataset, current: Dataset, asked: list[str] | None) -> list[str]:
    """The columns that are compared, in the reference's order."""
    for dataset in (reference, current):
        if dataset.rows < LEAST_ROWS_OF_SAMPLES:
            raise InvalidInput(
                "samples_differ", f"The dataset {dataset.name!r} has fewer than {LEAST_ROWS_OF_SAMPLES} rows.",
                param="current_dataset_id",
            )  # fmt: skip
    before = {column.name: column for column in reference.columns}
    after = {column.name: column for column in current.columns}
    usable = [
        name
        for name, column in before.items()
        if name in after and column.missing < reference.rows and after[name].missing < current.rows
    ]
    lacking = [name for name in asked or () if name not in usable]
    if lacking or not usable:
        raise InvalidInput(
            "samples_differ",
            f"The column {lacking[0]!r} has no values in one of the datasets."
            if lacking
            else "The datasets share no column with values.",
            param="columns",
        )
    return usable if asked is None else [name for name in usable if name in set(asked)]


def _object_name(dataset_id: UUID) -> str:
    return f"{FOLDER}/{dataset_id.hex}"
