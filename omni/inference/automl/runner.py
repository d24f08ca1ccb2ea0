"""Serves the models that AutoML has made."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omni.foundation.objects import ObjectStore
from omni.inference.automl.checks import read_input
from omni.inference.automl.schemas import PredictRequest
from omni.inference.registry.contracts import StoredVersion
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.kit.errors import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from omni.inference.automl.serving.answering import Answering
    from omni.inference.automl.serving.forecasts import Forecasts

CACHED_BYTES = 512 * 1024 * 1024
MODULES = "omni.inference.automl.serving"


class AutomlRunner:
    """A Runner. Artifacts that were used last stay in memory, by their SHA-256, up to so many bytes of files."""

    def __init__(self, objects: ObjectStore, pool: EnginePool, cached_bytes: int = CACHED_BYTES) -> None:
        self._objects = objects
        self._pool = pool
        self._models: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        self._cached_bytes = cached_bytes
        self._answering: LazyEngine[Answering] = LazyEngine(f"{MODULES}.answering", lambda module: module.Answering())
        self._forecasts: LazyEngine[Forecasts] = LazyEngine(f"{MODULES}.forecasts", lambda module: module.Forecasts())

    async def predict(self, call: Call, version: StoredVersion, request: Mapping[str, Any]) -> dict[str, Any]:
        """Predictions of up to 10,000 rows, with contributions where asked for. Of forecasting: the next steps after
        the rows' newer observations. Raises InvalidInput, and what EnginePool.run raises."""
        if is_forecasting(version):
            return await self._forecast(call, version, request)
        model = await self._model(call, version, forecasting=False)

        def work() -> dict[str, Any]:
            asked = read_input(PredictRequest, request)  # of many cells, which takes its time, too
            return self._answering.get().answer(model, asked.rows, asked.explain, call.seconds_left)

        answer = await self._pool.run(call, "automl", work)
        call.usage.predictions += len(answer["predictions"])
        return answer

    async def _forecast(self, call: Call, version: StoredVersion, request: Mapping[str, Any]) -> dict[str, Any]:
        rows = request.get("rows", [])
        asked = read_input(PredictRequest, {**request, "rows": [{}] if rows == [] else rows})
        if asked.explain:
            raise InvalidInput("explain_unsupported", "Forecasts have no contributions of features.", param="explain")
        series = await self._model(call, version, forecasting=True)
        newer = asked.rows if rows != [] else []

        def work() -> dict[str, Any]:
            return self._forecasts.get().answer(series, newer, call.seconds_left)

        answer = await self._pool.run(call, "automl", work)
        call.usage.predictions += len(answer["predictions"])
        return answer

    async def _model(self, call: Call, version: StoredVersion, *, forecasting: bool) -> Any:
        """What is in the artifact. A file that is not what was registered is an error of ours."""
        cached = self._models.get(version.sha256)
        if cached is not None:
            self._models.move_to_end(version.sha256)
            return cached[1]
        try:
            data = await self._objects.get(version.tenant_id, version.object_name)
        except NotFound:
            raise Unavailable(
                "model_damaged", "The stored model is gone. Train it again.", retry_after_seconds=3_600
            ) from None

        def load() -> Any:
            require_hash(data, version.sha256)
            return self._forecasts.get().read(data) if forecasting else self._answering.get().read(data)

        model = await self._pool.run(call, "automl", load)
        self._models[version.sha256] = (len(data), model)
        while len(self._models) > 1 and sum(size for size, _ in self._models.values()) > self._cached_bytes:
            self._models.popitem(last=False)
        return model


def is_forecasting(version: StoredVersion) -> bool:
    """Whether its answers are steps after a series."""
    return any("steps" in output for output in version.signature.get("outputs", ()))


def require_hash(data: bytes, sha256: str) -> None:
    """Raises RuntimeError for other bytes than were registered."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RuntimeError("the artifact in the object store is not what was registered")
