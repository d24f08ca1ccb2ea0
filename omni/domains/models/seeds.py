"""The platform's own models, which every installation starts with."""

from __future__ import annotations

from omni.contracts.routes import ModelRoute, Provider, Target
from omni.domains.models.rules import BACKEND

ENGINES = Provider("omni", BACKEND, "")
EMBEDDINGS = ModelRoute(
    "all-MiniLM-L6-v2",
    frozenset(("embeddings",)),
    (Target("all-MiniLM-L6-v2@omni", ENGINES.code, "all-MiniLM-L6-v2"),),
    description="Sentence vectors of 384 dimensions, on this platform.",
    owned_by="sentence-transformers",
    created=1_795_392_000,
)
MODERATION = ModelRoute(
    "text-moderation-rules-1",
    frozenset(("moderations",)),
    (Target("text-moderation-rules-1@omni", ENGINES.code, "text-moderation-rules-1"),),
    description="Words and meaning of English texts, on this platform.",
    created=1_795_910_400,
)
MODELS = [EMBEDDINGS, MODERATION]
