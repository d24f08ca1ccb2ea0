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
MODELS = [EMBEDDINGS]
