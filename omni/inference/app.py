"""The composition of the AI endpoints: one pool, the families on it, their routers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from fastapi import APIRouter

from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.batches.routes import router as batches_router
from omni.inference.batches.service import BatchService
from omni.inference.caller import CallerDependency, caller
from omni.inference.calling import Asks
from omni.inference.files.routes import router as files_router
from omni.inference.files.service import FileService
from omni.inference.jobs.routes import router as jobs_router
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
from omni.telemetry.inference_metrics import InferenceMetrics
from omni.telemetry.metrics import EngineMetrics


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


def _job_routers(database: Database, objects: ObjectStore, who: CallerDependency, clock: Clock) -> Iterator[APIRouter]:
    files, jobs = FileService(database, objects), JobService(database, clock)
    yield files_router(files, who, clock)
    yield batches_router(BatchService(database, files, jobs, clock), who)
    yield jobs_router(jobs, who)
