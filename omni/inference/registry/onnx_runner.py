"""Serves ONNX versions: checks the request, runs it in the version's process, tells what went wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.registry import repository
from omni.inference.registry.admission.description import Tensor
from omni.inference.registry.contracts import StoredVersion
from omni.inference.registry.tensor_json import read_inputs, write_outputs
from omni.inference.registry.trial import ENDED
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.serving.lane import Answer, ServedModel
from omni.inference.serving.pool import ServingPool
from omni.inference.serving.process import ModelFailed, ProcessEnded
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, OmniError, Unavailable, Unprocessable

ENGINE = "registry"
MOST_DEATHS = 3
"""A version that ends its process so often in a row is put out of service."""


class OnnxRunner:
    """The Runner of the format `onnx`."""

    def __init__(
        self, database: Database, objects: ObjectStore, pool: EnginePool, serving: ServingPool, clock: Clock
    ) -> None:
        self._database = database
        self._objects = objects
        self._pool = pool
        self._serving = serving
        self._clock = clock
        self._died: set[tuple[object, ...]] = set()
        """Versions whose latest run here ended their process."""

    async def predict(self, call: Call, version: StoredVersion, request: Mapping[str, Any]) -> dict[str, Any]:
        """`outputs`: name → type, shape and data, for `inputs`: name → nested lists.

        Raises InvalidInput `inputs_invalid`, Unprocessable `model_run_failed`, `model_process_ended` or
        `outputs_too_large`, Unavailable `serving_busy`, `serving_queue_full` or `model_damaged`, DeadlineExceeded.
        """
        given = request.get("inputs")
        if given is None:
            raise InvalidInput("inputs_invalid", "Send `inputs`: the model is an ONNX model.", param="inputs")
        ports = [Tensor.from_json(row) for row in version.signature["inputs"]]
        inputs = await self._pool.run(call, ENGINE, lambda: read_inputs(given, ports))
        rows = _rows(inputs, version.signature)
        answer = await self._run(call, version, inputs, rows)
        call.usage.predictions += rows
        return {"outputs": await self._pool.run(call, ENGINE, lambda: write_outputs(answer.outputs))}

    async def forget(self, version: StoredVersion) -> None:
        """Ends the process of a version that is gone."""
        await self._serving.forget(version.tenant_id, _name(version))

    async def _run(self, call: Call, version: StoredVersion, inputs: Mapping[str, np.ndarray], rows: int) -> Answer:
        key = (version.tenant_id, version.model_id, version.number)
        try:
            answer = await self._serving.run(call, self._served(version), inputs, rows)
        except ModelFailed as error:
            raise _failed(error) from None
        except ProcessEnded as error:
            self._died.add(key)
            raise await self._ended(version, error.args[0]) from None
        if key in self._died:
            self._died.discard(key)
            async with self._database.write(version.tenant_id) as session:
                await repository.forget_deaths(session, version.model_id, version.number)
        return answer

    async def _ended(self, version: StoredVersion, why: str) -> OmniError:
        async with self._database.write(version.tenant_id) as session:
            deaths = await repository.count_death(
                session, version.model_id, version.number, MOST_DEATHS, self._clock.now()
            )
        out = deaths >= MOST_DEATHS
        if deaths == MOST_DEATHS:
            self._serving.metrics.withdrawn.add()
        then = (
            "The version is out of service now."
            if out
            else f"After {MOST_DEATHS} times in a row it is put out of service."
        )
        return Unprocessable(
            "model_process_ended",
            f"The model did not survive this request: {ENDED[why]} Send smaller inputs, or upload a version that needs "
            f"less. {then}",
            deaths=deaths,
            out_of_service=out,
        )

    def _served(self, version: StoredVersion) -> ServedModel:
        async def fetch() -> bytes:
            data = await self._objects.get(version.tenant_id, version.object_name)
            if hashlib.sha256(data).hexdigest() != version.sha256:
                raise Unavailable(
                    "model_damaged", "The stored file is not the one that was uploaded. Upload the version again.",
                    retry_after_seconds=3_600,
                )  # fmt: skip
            return data

        joinable = bool(version.signature.get("joinable"))
        return ServedModel(version.tenant_id, _name(version), version.size_bytes, fetch, joinable)


def _name(version: StoredVersion) -> str:
    return f"{version.model_id}:{version.number}"


def _rows(inputs: Mapping[str, np.ndarray], signature: Mapping[str, Any]) -> int:
    """How many rows the request has: the length of a first side that is free, else 1."""
    for port in signature["inputs"]:
        shape = port["shape"]
        if shape and not isinstance(shape[0], int):
            return int(inputs[port["name"]].shape[0])
    return 1


def _failed(error: ModelFailed) -> OmniError:
    return Unprocessable(
        "model_run_failed",
        f"The model could not answer: {error.text} Check the inputs, or upload a version that takes them.",
        kind=error.kind,
    )
