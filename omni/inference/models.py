"""The composition of what serves models of tenants: the registry, the processes, the deployments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter

from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.automl.predictions import PredictionsWork
from omni.inference.automl.runner import AutomlRunner
from omni.inference.automl.schemas import KIND as AUTOML
from omni.inference.automl.schemas import PREDICTIONS_KIND as PREDICTIONS
from omni.inference.automl.work import AutomlWork
from omni.inference.caller import CallerDependency
from omni.inference.compute.quoting import Quotes
from omni.inference.compute.service import ComputeService
from omni.inference.compute.work import ComputeWork
from omni.inference.datasets.routes import router as datasets_router
from omni.inference.datasets.service import DatasetService
from omni.inference.deployments.answering import DeploymentAnswering
from omni.inference.deployments.counting import Counters
from omni.inference.deployments.feedback_ids import PredictionIds
from omni.inference.deployments.reporting import Reporting
from omni.inference.deployments.routes import router as deployments_router
from omni.inference.deployments.service import DeploymentService
from omni.inference.files.service import FileService
from omni.inference.registry.contracts import Format, Runner
from omni.inference.registry.measuring import MeasuredRunner
from omni.inference.registry.onnx_runner import OnnxRunner
from omni.inference.registry.predicting import Predicting
from omni.inference.registry.registering import register
from omni.inference.registry.routes import router as registry_router
from omni.inference.registry.service import RegistryService
from omni.inference.registry.trial import ProcessTrial
from omni.inference.runtime.pool import EnginePool
from omni.inference.serving.pool import ServingPool
from omni.inference.settings import InferenceSettings
from omni.inference.starting.routes import router as compute_router
from omni.inference.tabular.experiments.service import ExperimentService
from omni.kit.clock import Clock
from omni.telemetry.inference_metrics import InferenceMetrics


def model_routers(
    settings: InferenceSettings, database: Database, pool: EnginePool, objects: ObjectStore, who: CallerDependency,
    clock: Clock, metrics: InferenceMetrics,
) -> list[APIRouter]:  # fmt: skip
    """The endpoints of the registry, deployments, datasets, and of the jobs that make and ask models. The processes end
    with the application that includes the routers.
    """
    serving = ServingPool(settings.serving, metrics.serving)
    onnx = OnnxRunner(database, objects, pool, serving, clock)
    registry = RegistryService(database, objects, pool, ProcessTrial(serving), onnx, clock, metrics.predictions)
    runners: dict[Format, Runner] = {"onnx": onnx, "automl": AutomlRunner(objects, pool)}
    measured = {name: MeasuredRunner(runner, name, metrics.predictions) for name, runner in runners.items()}
    predicting = Predicting(database, measured)
    files = FileService(database, objects)
    datasets = DatasetService(database, objects, files, pool)
    works: dict[str, ComputeWork] = {
        AUTOML: AutomlWork(datasets, objects, register, metrics.training),
        PREDICTIONS: PredictionsWork(datasets, objects, files, predicting.served),
    }
    compute = ComputeService(database, works, Quotes(settings.principal_secret), clock)

    counters = Counters(database, clock, metrics.deployments)
    answering = DeploymentAnswering(
        database, predicting.predict_version, counters, pool, PredictionIds(settings.state_secret)
    )
    reporting = Reporting(database, pool, ExperimentService(pool), clock)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await counters.close()
        await serving.close()

    return [
        APIRouter(lifespan=lifespan),
        registry_router(registry, predicting, files, who),
        datasets_router(datasets, who),
        compute_router(compute, settings.webhook_secret, who),
        deployments_router(DeploymentService(database, clock), answering, reporting, who),
    ]
