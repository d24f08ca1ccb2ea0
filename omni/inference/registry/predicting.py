"""Asking a version, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from omni.foundation.db.sessions import Database, ReadSession
from omni.inference.registry import repository
from omni.inference.registry.contracts import Format, Runner, StoredVersion
from omni.inference.registry.errors import model_not_found, no_runner, out_of_service
from omni.inference.registry.repository import Model, VersionRow
from omni.inference.registry.schemas import CHAMPION, PredictRequest
from omni.inference.registry.service import billed_as, find, find_version
from omni.inference.runtime.call import Call
from omni.kit.errors import InvalidInput

Body = Mapping[str, Any]


class Predicting:
    """Finds the version that is asked for, and the runner that serves it."""

    def __init__(self, database: Database, runners: Mapping[Format, Runner]) -> None:
        self._database = database
        self._runners = runners

    async def predict(self, call: Call, named: str, request: PredictRequest) -> dict[str, Any]:
        """The runner's answer, with `model` and `version`.

        Raises NotFound `registered_model_not_found` or `model_version_not_found`, Conflict `version_out_of_service`,
        InvalidInput `inputs_invalid`, NotConfigured `runner_missing`, and what the runner raises.
        """
        if request.version is not None and request.alias is not None:
            raise InvalidInput("inputs_invalid", "Name a `version` or an `alias`, not both.", param="alias")
        async with self._database.read(call.principal.tenant_id) as session:
            wanted = request.alias if request.version is None else str(request.version)
            model, row = await _found(session, named, wanted)
        return await self._ask(call, model, row, body_of(request.inputs, request.rows, request.explain))

    async def served(self, tenant_id: UUID, named: str, wanted: str | None) -> tuple[StoredVersion, Runner]:
        """A version, by number or alias, and who serves it; None = the champion, else the newest. Raises what `predict`
        raises."""
        async with self._database.read(tenant_id) as session:
            _, row = await _found(session, named, wanted)
        return row.stored, self._runner(row)

    async def predict_version(self, call: Call, model_id: UUID, number: int, body: Body) -> dict[str, Any]:
        """One version of a model, by its number. Raises what `predict` raises."""
        async with self._database.read(call.principal.tenant_id) as session:
            model = await repository.find_model(session, model_id)
            if model is None:
                raise model_not_found()
            row = await find_version(session, model, str(number))
        return await self._ask(call, model, row, body)

    async def _ask(self, call: Call, model: Model, row: VersionRow, body: Body) -> dict[str, Any]:
        answer = await self._runner(row).predict(call, row.stored, body)
        call.usage.model = billed_as(model, row.stored.number)
        return {"model": model.name, "version": row.stored.number, **answer}

    def _runner(self, row: VersionRow) -> Runner:
        if row.state == "withdrawn":
            raise out_of_service(row.stored.number)
        runner = self._runners.get(row.stored.format)
        if runner is None:
            raise no_runner(row.stored.format)
        return runner


async def _found(session: ReadSession, named: str, wanted: str | None) -> tuple[Model, VersionRow]:
    model = await find(session, named)
    if wanted is None and CHAMPION in (await repository.aliases(session, [model.id])).get(model.id, {}):
        wanted = CHAMPION
    return model, await find_version(session, model, wanted)


def body_of(inputs: Mapping[str, Any] | None, rows: list[dict[str, Any]] | None, explain: bool) -> Body:
    """What a runner gets. Raises InvalidInput `inputs_invalid` unless there is one of the two."""
    if (inputs is None) == (rows is None):
        raise InvalidInput("inputs_invalid", "Send `inputs` (ONNX) or `rows` (trained models).", param="inputs")
    return {"inputs": inputs} if rows is None else {"rows": rows, "explain": explain}
