"""The composition of the AI endpoints: one pool, the families on it, their routers."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastapi import APIRouter

from omni.foundation.db.sessions import Database
from omni.inference.caller import caller
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.language.routes import router as language_router
from omni.inference.language.service import LanguageService
from omni.inference.pdf.reader import PdfReader
from omni.inference.retrieval.answering import Answering
from omni.inference.retrieval.extraction import Extractor
from omni.inference.retrieval.ingest import Ingest
from omni.inference.retrieval.routes import router as retrieval_router
from omni.inference.retrieval.search import Search
from omni.inference.retrieval.service import RetrievalService
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.inference.tabular.routes import router as tabular_router
from omni.inference.tabular.service import TabularService
from omni.inference.vision.routes import router as vision_router
from omni.inference.vision.service import VisionService
from omni.kit.clock import unix_micros
from omni.telemetry.metrics import EngineMetrics


def build_pool(settings: InferenceSettings, metrics: EngineMetrics) -> EnginePool:
    """The pool that all engines share. Close it when the process drains."""
    return EnginePool(settings.engine_threads, settings.engine_queue_limit, metrics)


def build_routers(
    settings: InferenceSettings,
    database: Database,
    pool: EnginePool,
    now_micros: Callable[[], int] = unix_micros,
) -> list[APIRouter]:
    """Every AI endpoint. `database` opens sessions as omni_app. No engine is loaded before its first request."""
    cores = os.cpu_count() or 1
    who = caller(settings.principal_secret, now_micros)
    embedder = Embedder(MINILM, settings, pool, cores)
    pdfs = PdfReader(settings, pool)
    search = Search(database, embedder)
    ingest = Ingest(database, embedder, Extractor(pdfs, pool, settings.document_text_bytes))
    retrieval = RetrievalService(database, MINILM, ingest, search, Answering(search, embedder))
    return [
        retrieval_router(retrieval, who),
        language_router(LanguageService(embedder, pool), who),
        tabular_router(TabularService(pool), who),
        vision_router(VisionService(settings, pool, pdfs, cores), who),
    ]
