"""The composition of the endpoints that work on texts of the request: one embedder, a router a group."""

from __future__ import annotations

from fastapi import APIRouter

from omni.inference.caller import CallerDependency
from omni.inference.language.classification.routes import router as classification_router
from omni.inference.language.classification.service import ClassificationService
from omni.inference.language.comparison.routes import router as comparison_router
from omni.inference.language.comparison.service import ComparisonService
from omni.inference.language.embedder import Embedder
from omni.inference.language.extraction.routes import router as extraction_router
from omni.inference.language.extraction.service import ExtractionService
from omni.inference.language.grouping.routes import router as grouping_router
from omni.inference.language.grouping.service import GroupingService
from omni.inference.language.identification.routes import router as identification_router
from omni.inference.language.identification.service import IdentificationService
from omni.inference.language.moderation.routes import router as moderation_router
from omni.inference.language.moderation.service import ModerationService
from omni.inference.language.pii.routes import router as pii_router
from omni.inference.language.pii.service import PiiService
from omni.inference.language.pii.tokens import RestoreKeys
from omni.inference.language.ranking.routes import router as ranking_router
from omni.inference.language.ranking.service import RankingService
from omni.inference.language.splitting.routes import router as splitting_router
from omni.inference.language.splitting.service import SplittingService
from omni.inference.language.text_vectors import TextVectors
from omni.inference.language.writing.routes import router as writing_router
from omni.inference.language.writing.service import WritingService
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings


def text_routers(
    settings: InferenceSettings, embedder: Embedder, pool: EnginePool, who: CallerDependency
) -> list[APIRouter]:
    """Every router of the texts. No engine is loaded before its first request."""
    vectors = TextVectors(embedder)
    return [
        ranking_router(RankingService(vectors, pool), who),
        classification_router(ClassificationService(vectors, pool), who),
        moderation_router(ModerationService(vectors, pool), who),
        identification_router(IdentificationService(pool), who),
        extraction_router(ExtractionService(vectors, pool), who),
        pii_router(PiiService(pool, RestoreKeys(settings.restore_secret)), who),
        grouping_router(GroupingService(vectors, pool), who),
        splitting_router(SplittingService(embedder, pool), who),
        writing_router(WritingService(pool), who),
        comparison_router(ComparisonService(vectors, pool), who),
    ]
