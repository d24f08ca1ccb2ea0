"""Embeddings per second through the endpoint's own path: tokenize, batch, embed on all cores.

make bench-inference
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from prometheus_client import CollectorRegistry

from bench import Bar
from omni.contracts.principal import Principal
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.language.schemas import EmbeddingsRequest
from omni.inference.language.service import LanguageService
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7
from omni.telemetry.metrics import EngineMetrics

TEXTS_BAR = 150.0
REQUESTS, TEXTS = 12, 64
SUBJECTS = ("The invoice", "A customer", "Our gateway", "The new plan", "This document", "The model", "A request")
PREDICATES = (
    "was paid on time",
    "asked for a refund",
    "limits every tenant",
    "costs less than before",
    "is out of date",
)


def call_of() -> Call:
    """A call with an hour of time."""
    return Call(Principal(uuid7(), uuid7(), uuid7(), "test", None, unix_micros() + 3_600_000_000))


def texts(number: int) -> list[str]:
    """Short texts, no two of one request alike."""
    return [
        f"{SUBJECTS[n % len(SUBJECTS)]} {PREDICATES[n % len(PREDICATES)]}, says note {n}."
        for n in range(number, number + TEXTS)
    ]


async def measure(folder: Path) -> list[Bar]:
    """Warm up, then send requests one after the other."""
    cores = os.cpu_count() or 1
    pool = EnginePool(cores, 64, EngineMetrics(CollectorRegistry()))
    settings = InferenceSettings(model_cache=folder, principal_secret=b"")
    service = LanguageService(Embedder(MINILM, settings, pool, cores), pool)
    begun = time.perf_counter()
    await service.embed(call_of(), EmbeddingsRequest(model=MINILM.name, input="first"))
    first_seconds = time.perf_counter() - begun
    tokens = 0
    begun = time.perf_counter()
    for number in range(REQUESTS):
        response = await service.embed(call_of(), EmbeddingsRequest(model=MINILM.name, input=texts(number * TEXTS)))
        tokens += response.usage.prompt_tokens
    rate = REQUESTS * TEXTS / (time.perf_counter() - begun)
    pool.close()
    length = round(tokens / (REQUESTS * TEXTS))
    return [
        Bar(name="first embedding, graph built", value=round(first_seconds, 2), unit="s", bar=None, met=True),
        Bar(
            name=f"embeddings of {length} tokens",
            value=round(rate),
            unit="texts/s",
            bar=TEXTS_BAR,
            met=rate >= TEXTS_BAR,
        ),
    ]


def run() -> list[Bar]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))
