"""The composition of the AI endpoints: one pool, the families on it, their routers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from fastapi import APIRouter

from omni.foundation.db.sessions import Database, SystemSession
from omni.foundation.objects import ObjectStore
from omni.inference.automl.leftovers import KEPT, PARTS, forget_ended
from omni.inference.automl.schemas import KIND as AUTOML
from omni.inference.automl.schemas import PREDICTIONS_KIND as PREDICTIONS
from omni.inference.batches.repository import forget_old as forget_old_answers
from omni.inference.batches.routes import router as batches_router
from omni.inference.batches.schemas import KIND as BATCH
from omni.inference.batches.service import BatchService
from omni.inference.batches.working import OUTPUT_LIFE, BatchWorker
from omni.inference.caller import CallerDependency, caller
from omni.inference.calling import Asks, Calls
from omni.inference.compute.worker import ComputeWorker
from omni.inference.deployments.repository import forget_old as forget_old_counts
from omni.inference.files.routes import router as files_router
from omni.inference.files.service import FileService
from omni.inference.jobs.repository import QueueFigures, queue_figures, with_leftovers, without_leftovers
from omni.inference.jobs.routes import router as jobs_router
from omni.inference.jobs.runner import Handler, JobRunner
from omni.inference.jobs.service import JobService
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.language.routes import router as language_router
from omni.inference.language.service import LanguageService
from omni.inference.language.text import text_routers
from omni.inference.models import model_routers
from omni.inference.pdf.reader import PdfReader
from omni.inference.retrieval.answering import Answering
from omni.inference.retrieval.evaluating import Evaluating
from omni.inference.retrieval.extraction import Extractor
from omni.inference.retrieval.generating import Generating
from omni.inference.retrieval.ingest import Ingest
from omni.inference.retrieval.routes import router as retrieval_router
from omni.inference.retrieval.search import Search
from omni.inference.retrieval.service import RetrievalService
from omni.inference.retrieval.writing import WrittenAnswers
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.inference.tabular.families import tabular_routers
from omni.inference.vision.routes import router as vision_router
from omni.inference.vision.service import VisionService
from omni.kit.clock import Clock
from omni.telemetry.inference_metrics import InferenceMetrics, JobMetrics
from omni.telemetry.metrics import EngineMetrics

COUNTS_LIFE = timedelta(days=90)
"""How long the minutes of deployments and the feedback on them are kept."""
JOB_KINDS = (BATCH, AUTOML, PREDICTIONS)
LEFTOVERS = (KEPT, PARTS)
LEFTOVERS_LIFE = timedelta(days=7)
"""How long a job that was cancelled or failed can go on where it was."""
LEFTOVERS_AT_ONCE = 100

OpenSystemSession = Callable[[], AbstractAsyncContextManager[SystemSession]]


def build_pool(settings: InferenceSettings, metrics: EngineMetrics) -> EnginePool:
    """The pool that all engines share. Close it when the process drains."""
    return EnginePool(settings.engine_threads, settings.engine_queue_limit, metrics)


def build_routers(
    settings: InferenceSettings,
    database: Database,
    pool: EnginePool,
    objects: ObjectStore,
    clock: Clock,
    metrics: InferenceMetrics,
    asks: Asks | None = None,
) -> list[APIRouter]:
    """Every AI endpoint. `database` opens sessions as omni_app. `asks` reaches the gateway, for models that write. No
    engine is loaded before its first request."""
    cores = os.cpu_count() or 1
    who = caller(settings.principal_secret)
    embedder = Embedder(MINILM, settings, pool, cores)
    pdfs = PdfReader(settings, pool)
    search = Search(database, embedder)
    vision = VisionService(settings, pool, pdfs, cores)

    async def read_image(call: Call, data: bytes) -> list[str]:
        return [page.text for page in (await vision.read(call, data)).pages]

    extractor = Extractor(pdfs, read_image, vision.read_pages, pool, settings.document_text_bytes)
    ingest = Ingest(database, embedder, extractor, metrics.ingest)
    answering = Answering(search, embedder, WrittenAnswers(embedder, Generating(asks)))
    evaluating = Evaluating(database, embedder, answering)
    retrieval = RetrievalService(database, MINILM, ingest, search, answering, evaluating)
    return [
        retrieval_router(retrieval, who),
        language_router(LanguageService(embedder, pool), who),
        *text_routers(settings, embedder, pool, who),
        *tabular_routers(pool, who, settings.state_secret),
        vision_router(vision, who),
        *model_routers(settings, database, pool, objects, who, clock, metrics),
        *_job_routers(database, objects, who, clock),
    ]


def job_runner(
    database: Database, open_system: OpenSystemSession, objects: ObjectStore, calls: Calls, clock: Clock,
    metrics: JobMetrics,
) -> JobRunner:  # fmt: skip
    """What a worker works on jobs with."""
    compute = ComputeWorker(calls)
    handlers: dict[str, Handler] = {
        BATCH: BatchWorker(FileService(database, objects), calls), AUTOML: compute, PREDICTIONS: compute,
    }  # fmt: skip
    return JobRunner(database, open_system, handlers, clock, metrics)


async def job_queues(session: SystemSession, now: datetime) -> dict[str, QueueFigures]:
    """How many jobs of each kind wait and are worked on."""
    return dict.fromkeys(JOB_KINDS, QueueFigures()) | await queue_figures(session, now)


async def forget_old_jobs(
    database: Database, open_system: OpenSystemSession, objects: ObjectStore, now: datetime
) -> None:
    """Deletes files whose time is over, what jobs that ended long ago still keep, and old counts of deployments."""
    await FileService(database, objects).forget_expired(open_system, now)
    async with open_system() as session:
        await forget_old_answers(session, now - OUTPUT_LIFE)
        await forget_old_counts(session, now - COUNTS_LIFE)
        for tenant_id, job in await with_leftovers(session, LEFTOVERS, now - LEFTOVERS_LIFE, LEFTOVERS_AT_ONCE):
            await forget_ended(objects, tenant_id, job)
            await without_leftovers(session, tenant_id, job.id, LEFTOVERS)


def _job_routers(database: Database, objects: ObjectStore, who: CallerDependency, clock: Clock) -> Iterator[APIRouter]:
    files, jobs = FileService(database, objects), JobService(database, clock)
    yield files_router(files, who, clock)
    yield batches_router(BatchService(database, files, jobs, clock), who)
    yield jobs_router(jobs, who)
