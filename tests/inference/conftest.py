"""One pool and one set of engines for all tests of the AI endpoints: engines take seconds to load."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import make_url

from omni.apps.backend import backend_routers
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.app import build_pool
from omni.inference.runtime.pool import EnginePool
from omni.inference.serving.settings import MIB, ServingSettings
from omni.inference.settings import InferenceSettings
from omni.kit.clock import SystemClock
from omni.telemetry.inference_metrics import InferenceMetrics
from omni.telemetry.metrics import EngineMetrics
from tests.inference.backend import SECRET, Backend, backend

DATA = Path(__file__).parent / "data"
NO_FILES = ObjectStore("memory:///")


@pytest.fixture(scope="session")
def inference_settings(tmp_path_factory: pytest.TempPathFactory) -> InferenceSettings:
    return InferenceSettings(
        model_cache=tmp_path_factory.mktemp("models"),
        principal_secret=SECRET,
        engine_threads=2,
        pdf_cpu_seconds=5,
        serving=ServingSettings(cpu_seconds=1.0, process_memory_bytes=1024 * MIB),
    )


@pytest.fixture(scope="session")
def engine_pool(inference_settings: InferenceSettings) -> Iterator[EnginePool]:
    pool = build_pool(inference_settings, EngineMetrics(CollectorRegistry()))
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def engines(inference_settings: InferenceSettings, engine_pool: EnginePool) -> Backend:
    """A backend whose database is down: enough for the endpoints that need none."""
    nowhere = make_url("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    down = Database(create_engine(nowhere, "tests", PoolSettings(connect_timeout_seconds=1)))
    metrics = InferenceMetrics(CollectorRegistry())
    return backend(backend_routers(inference_settings, down, engine_pool, NO_FILES, SystemClock(), metrics))


@pytest.fixture(scope="session")
def objects_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="session")
def objects(objects_folder: Path) -> ObjectStore:
    return ObjectStore(f"file://{objects_folder}")


@pytest.fixture(scope="session")
def metrics_registry() -> CollectorRegistry:
    """What `stored` counts."""
    return CollectorRegistry()


@pytest.fixture(scope="session")
async def stored(
    inference_settings: InferenceSettings, engine_pool: EnginePool, database: Database, objects: ObjectStore,
    metrics_registry: CollectorRegistry,
) -> AsyncIterator[Backend]:  # fmt: skip
    """A backend on a real database, calling as a tenant of its own."""
    metrics = InferenceMetrics(metrics_registry)
    made = backend(backend_routers(inference_settings, database, engine_pool, objects, SystemClock(), metrics))
    async with made.app.router.lifespan_context(made.app):
        yield made
