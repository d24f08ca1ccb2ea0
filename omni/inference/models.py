"""The composition of what serves models of tenants: the registry, the processes, the deployments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import APIRouter

from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.caller import CallerDependency
from omni.inference.files.service import FileService
from omni.inference.registry.contracts import Format, Runner
from omni.inference.registry.onnx_runner import OnnxRunner
from omni.inference.registry.predicting import Predicting
from omni.inference.registry.routes import router as registry_router
from omni.inference.registry.service import RegistryService
from omni.inference.registry.trial import ProcessTrial
from omni.inference.runtime.pool import EnginePool
from omni.inference.serving.pool import ServingPool
from omni.inference.settings import InferenceSettings
from omni.kit.clock import Clock


def model_routers(
    settings: InferenceSettings, database: Database, pool: EnginePool, objects: ObjectStore, who: CallerDependency,
    clock: Clock, trained: Mapping[Format, Runner] | None = None,
) -> list[APIRouter]:  # fmt: skip
    """The endpoints of the registry. `trained` serves what is no ONNX file. The processes end with the application that
    includes the routers.
    """
    serving = ServingPool(settings.serving)
    onnx = OnnxRunner(database, objects, pool, serving, clock)
    registry = RegistryService(database, objects, pool, ProcessTrial(serving), onnx, clock)
    predicting = Predicting(database, {"onnx": onnx, **(trained or {})})

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await serving.close()

    return [
        APIRouter(lifespan=lifespan),
        registry_router(registry, predicting, FileService(database, objects), who),
    ]
