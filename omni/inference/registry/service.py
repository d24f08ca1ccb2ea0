"""The calling tenant's models, their versions and aliases."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from omni.foundation.db.sessions import Database, ReadSession
from omni.foundation.objects import ObjectStore
from omni.inference.registry import repository
from omni.inference.registry.admission.description import Description
from omni.inference.registry.admission.onnx_file import read_onnx
from omni.inference.registry.contracts import FOLDER, NewVersion
from omni.inference.registry.errors import (
    alias_not_found,
    in_use,
    model_exists,
    model_not_found,
    version_not_found,
)
from omni.inference.registry.measuring import upload_outcome
from omni.inference.registry.onnx_runner import ENGINE, OnnxRunner
from omni.inference.registry.repository import Model, NameTaken, VersionRow
from omni.inference.registry.schemas import (
    Alias,
    Card,
    Measured,
    ModelChange,
    ModelList,
    ModelRequest,
    RegisteredModel,
    State,
    Version,
    VersionFields,
    VersionList,
)
from omni.inference.registry.trial import Trial, TrialResult
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.storage.repository import lock_storage, require_room
from omni.kit.clock import Clock
from omni.kit.errors import OmniError
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import PredictionMetrics


class RegistryService:
    """What belongs to another tenant is not found."""

    def __init__(
        self, database: Database, objects: ObjectStore, pool: EnginePool, trial: Trial, runner: OnnxRunner,
        clock: Clock, metrics: PredictionMetrics,
    ) -> None:  # fmt: skip
        self._database = database
        self._objects = objects
        self._pool = pool
        self._trial = trial
        self._runner = runner
        self._clock = clock
        self._uploads = metrics.uploads

    async def create(self, tenant_id: UUID, request: ModelRequest) -> RegisteredModel:
        """Raises Conflict `model_exists`."""
        async with self._database.write(tenant_id) as session:
            try:
                model = await repository.add_model(session, request.name, request.task, request.description)
            except NameTaken:
                raise model_exists(request.name) from None
        return _shown([model], {}, {})[0]

    async def list(self, tenant_id: UUID, limit: int, cursor: UUID | None) -> ModelList:
        """One page."""
        async with self._database.read(tenant_id) as session:
            found = await repository.models(session, limit + 1, cursor)
            page = await _with_versions(session, found[:limit])
        return ModelList(data=page, next_cursor=page[-1].id if len(found) > limit else None)

    async def get(self, tenant_id: UUID, named: str) -> RegisteredModel:
        """Raises NotFound `registered_model_not_found`."""
        async with self._database.read(tenant_id) as session:
            return (await _with_versions(session, [await find(session, named)]))[0]

    async def change(self, tenant_id: UUID, named: str, change: ModelChange) -> RegisteredModel:
        """Raises NotFound `registered_model_not_found`, Conflict `model_exists`."""
        changes = {name: value for name, value in change.model_dump().items() if value is not None}
        async with self._database.write(tenant_id) as session:
            model = await find(session, named)
            if changes:
                try:
                    await repository.change_model(session, model.id, changes)
                except NameTaken:
                    raise model_exists(changes["name"]) from None
            return (await _with_versions(session, [await find(session, str(model.id))]))[0]

    async def delete(self, tenant_id: UUID, named: str) -> None:
        """With all versions. Raises NotFound `registered_model_not_found`, Conflict `version_in_use`."""
        async with self._database.write(tenant_id) as session:
            model = await find(session, named, lock=True)
            rows = await repository.versions(session, model.id, 1_000_000, None)
            outcome, names = await repository.remove_model(session, model.id)
            if outcome == "deployment":
                raise in_use(outcome)
        for row in rows:
            await self._runner.forget(row.stored)
        for name in names:
            await self._objects.delete(tenant_id, name)

    async def add_version(self, call: Call, named: str, data: bytes, fields: VersionFields) -> Version:
        """Admits a file by its content, tries it out, and stores it: all or nothing.

        Raises NotFound `registered_model_not_found`, UnsupportedType `model_format_unsupported`, Unprocessable
        `model_file_refused` or `model_does_not_run`, LimitExceeded `storage_quota_exceeded`.
        """
        try:
            version = await self._add_version(call, named, data, fields)
        except OmniError as error:
            self._uploads.add(upload_outcome(error))
            raise
        self._uploads.add("stored")
        return version

    async def _add_version(self, call: Call, named: str, data: bytes, fields: VersionFields) -> Version:
        who = call.principal
        async with self._database.read(who.tenant_id) as session:
            model = await find(session, named)
            await require_room(session, len(data), who.storage_bytes_limit)
        described = await self._pool.run(call, ENGINE, lambda: read_onnx(data, call.seconds_left))
        result = await self._trial(call, data, described, fields.dimensions)
        new = NewVersion(
            model.name, model.task, "onnx", f"{FOLDER}/{uuid7().hex}", hashlib.sha256(data).hexdigest(), len(data),
            _signature(described, result), fields.metrics, fields.card, fields.lineage,
        )  # fmt: skip
        number = await self._store(call, model.id, new, data, _measured(described, result))
        call.usage.model = billed_as(model, number)
        return await self.version(who.tenant_id, str(model.id), str(number))

    async def versions(self, tenant_id: UUID, named: str, limit: int, cursor: int | None) -> VersionList:
        """One page. Raises NotFound `registered_model_not_found`."""
        async with self._database.read(tenant_id) as session:
            model = await find(session, named)
            found = await repository.versions(session, model.id, limit + 1, cursor)
            names = (await repository.aliases(session, [model.id])).get(model.id, {})
        page = [_version(model, row, names) for row in found[:limit]]
        return VersionList(data=page, next_cursor=page[-1].number if len(found) > limit else None)

    async def version(self, tenant_id: UUID, named: str, version: str) -> Version:
        """Raises NotFound `registered_model_not_found` or `model_version_not_found`."""
        async with self._database.read(tenant_id) as session:
            model = await find(session, named)
            row = await find_version(session, model, version)
            names = (await repository.aliases(session, [model.id])).get(model.id, {})
        return _version(model, row, names)

    async def set_state(self, tenant_id: UUID, named: str, version: str, state: State) -> Version:
        """Takes a version out of service or back. Raises NotFound as `version`."""
        async with self._database.write(tenant_id) as session:
            model = await find(session, named)
            row = await find_version(session, model, version)
            await repository.set_state(session, model.id, row.stored.number, state, self._clock.now())
        return await self.version(tenant_id, named, str(row.stored.number))

    async def delete_version(self, tenant_id: UUID, named: str, version: str) -> None:
        """Raises NotFound as `version`, Conflict `version_in_use`."""
        async with self._database.write(tenant_id) as session:
            model = await find(session, named, lock=True)
            row = await find_version(session, model, version)
            outcome = await repository.remove_version(session, model.id, row.stored.number)
            if outcome in ("alias", "deployment"):
                raise in_use(outcome)
        await self._runner.forget(row.stored)
        await self._objects.delete(tenant_id, row.stored.object_name)

    async def card(self, tenant_id: UUID, named: str, version: str) -> Card:
        """Raises NotFound as `version`."""
        async with self._database.read(tenant_id) as session:
            model = await find(session, named)
            row = await find_version(session, model, version)
        stored = row.stored
        return Card(
            model=model.name, version=stored.number, task=model.task, description=model.description, given=row.card,
            metrics=row.metrics, lineage=row.lineage, signature=dict(stored.signature), size_bytes=stored.size_bytes,
            sha256=stored.sha256, measured=Measured(**row.measured) if row.measured else None,
            created_at=row.created_at,
        )  # fmt: skip

    async def put_alias(self, tenant_id: UUID, named: str, alias: str, number: int) -> Alias:
        """Raises NotFound as `version`."""
        now = self._clock.now()
        async with self._database.write(tenant_id) as session:
            model = await find(session, named, lock=True)
            await find_version(session, model, str(number))
            await repository.put_alias(session, model.id, alias, number, now)
        return Alias(alias=alias, version=number, updated_at=now)

    async def delete_alias(self, tenant_id: UUID, named: str, alias: str) -> None:
        """Raises NotFound `registered_model_not_found` or `model_alias_not_found`."""
        async with self._database.write(tenant_id) as session:
            model = await find(session, named)
            if not await repository.remove_alias(session, model.id, alias):
                raise alias_not_found()

    async def _store(
        self, call: Call, model_id: UUID, new: NewVersion, data: bytes, measured: dict[str, object]
    ) -> int:
        who, stored = call.principal, False
        try:
            async with self._database.write(who.tenant_id) as session:
                await lock_storage(session)
                await require_room(session, new.size_bytes, who.storage_bytes_limit)
                if await repository.find_model(session, model_id, lock=True) is None:
                    raise model_not_found()
                number = await repository.add_version(session, model_id, new, measured)
                stored = True
                await self._objects.put(who.tenant_id, new.object_name, data)
        except BaseException:
            if stored:
                with suppress(Exception):
                    await self._objects.delete(who.tenant_id, new.object_name)
            raise
        return number


async def find(session: ReadSession, named: str, *, lock: bool = False) -> Model:
    """By name or id. Raises NotFound `registered_model_not_found`."""
    model = await repository.find_model(session, _id_or_name(named), lock=lock)
    if model is None:
        raise model_not_found()
    return model


async def find_version(session: ReadSession, model: Model, named: str | None) -> VersionRow:
    """By number or alias; the newest for None. Raises NotFound `model_version_not_found`."""
    number: int | None = None
    if named is not None:
        number = int(named) if named.isascii() and named.isdecimal() and len(named) < 10 else None
        if number is None:
            number = (await repository.aliases(session, [model.id])).get(model.id, {}).get(named)
        if number is None:
            raise version_not_found(named)
    row = await repository.find_version(session, model.id, number)
    if row is None:
        raise version_not_found(named or "newest")
    return row


def billed_as(model: Model, number: int) -> str:
    """What usage says of a version. Never the name of a model of the catalogue: a tenant chooses `model.name`, and
    prices go by what stands here.
    """
    return f"registry/{model.name}:{number}"


def _id_or_name(named: str) -> UUID | str:
    try:
        return UUID(named)
    except ValueError:
        return named


async def _with_versions(session: ReadSession, found: Sequence[Model]) -> list[RegisteredModel]:
    ids = [model.id for model in found]
    return _shown(found, await repository.counts(session, ids), await repository.aliases(session, ids))


def _shown(
    found: Sequence[Model], counts: dict[UUID, tuple[int, int]], aliases: dict[UUID, dict[str, int]]
) -> list[RegisteredModel]:
    return [
        RegisteredModel(
            id=model.id, name=model.name, task=model.task, description=model.description,
            version_count=counts[model.id][0] if model.id in counts else 0,
            latest_version=counts[model.id][1] if model.id in counts else None,
            aliases=aliases.get(model.id, {}), created_at=model.created_at,
        )
        for model in found
    ]  # fmt: skip


def _version(model: Model, row: VersionRow, aliases: dict[str, int]) -> Version:
    stored = row.stored
    return Version(
        model=model.name, number=stored.number, format=stored.format, state=row.state,
        aliases=sorted(alias for alias, number in aliases.items() if number == stored.number),
        size_bytes=stored.size_bytes, sha256=stored.sha256, signature=dict(stored.signature), metrics=row.metrics,
        job_id=row.job_id, created_at=row.created_at,
    )  # fmt: skip


def _signature(described: Description, result: TrialResult) -> dict[str, object]:
    return {
        "inputs": [port.to_json() for port in described.inputs],
        "outputs": [port.to_json() for port in described.outputs],
        "joinable": result.joinable,
    }


def _measured(described: Description, result: TrialResult) -> dict[str, object]:
    return Measured(
        ir_version=described.ir_version, opsets=described.opsets, producer=described.producer,
        operators=described.operators, parameters=described.parameters, metadata=described.metadata,
        load_cpu_ms=result.load_cpu_ms, run_cpu_ms=result.run_cpu_ms, memory_bytes=result.memory_bytes,
        trial_shapes=result.shapes,
    ).model_dump()  # fmt: skip
