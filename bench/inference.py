"""Embeddings per second through the endpoint's own path (tokenize, batch, embed on all cores), beside onnxruntime alone
on the same tokens, and how long it takes to rerank 50 passages.

make bench-inference
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from prometheus_client import CollectorRegistry

from bench import Bar
from omni.contracts.principal import Principal
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.language.ranking.schemas import RerankRequest
from omni.inference.language.ranking.service import RankingService
from omni.inference.language.schemas import EmbeddingsRequest
from omni.inference.language.service import LanguageService
from omni.inference.language.text_vectors import TextVectors
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7
from omni.telemetry.metrics import EngineMetrics

SHORT_TEXTS_BAR, TEXTS_BAR = 150.0, 200.0
SHARE_OF_BARE_BAR = 0.9
RERANK_BAR_MS = 250.0
PASSAGES, RERANKS = 50, 40
ROUNDS, TOKENS, BATCH = 5, 64, 16  # of the comparison with onnxruntime alone
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
    embedder = Embedder(MINILM, settings, pool, cores)
    bars = await short_texts(LanguageService(embedder, pool))
    bars += await beside_bare(embedder, next(folder.glob("*.onnx")), cores)
    bars += await reranks(RankingService(TextVectors(embedder), pool))
    pool.close()
    return bars


async def short_texts(service: LanguageService) -> list[Bar]:
    """The first embedding, and texts a second through the endpoint."""
    begun = time.perf_counter()
    await service.embed(call_of(), EmbeddingsRequest(model=MINILM.name, input="first"))
    first_seconds = time.perf_counter() - begun
    tokens = 0
    begun = time.perf_counter()
    for number in range(REQUESTS):
        response = await service.embed(call_of(), EmbeddingsRequest(model=MINILM.name, input=texts(number * TEXTS)))
        tokens += response.usage.prompt_tokens
    rate = REQUESTS * TEXTS / (time.perf_counter() - begun)
    length = round(tokens / (REQUESTS * TEXTS))
    return [
        Bar(name="first embedding, graph built", value=round(first_seconds, 2), unit="s", bar=None, met=True),
        Bar(
            name=f"embeddings of {length} tokens",
            value=round(rate),
            unit="texts/s",
            bar=SHORT_TEXTS_BAR,
            met=rate >= SHORT_TEXTS_BAR,
        ),
    ]


async def beside_bare(embedder: Embedder, graph: Path, cores: int) -> list[Bar]:
    """Texts of 64 tokens, by the endpoint's path and by onnxruntime alone in turns: both meet the same noise."""
    words = " ".join(["word"] * (TOKENS - 2))
    session = bare_session(graph)
    ids = np.array((await embedder.tokenize(call_of(), [words]))[0] * BATCH, np.int64).reshape(BATCH, TOKENS)
    own, bare = [], []
    with ThreadPoolExecutor(cores) as threads:
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            await embedder.embed(call_of(), await embedder.tokenize(call_of(), [words] * BATCH * 2 * cores))
            own.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            list(threads.map(lambda _: session(ids), range(2 * cores)))
            bare.append(time.perf_counter() - begun)
    number = BATCH * 2 * cores
    share, rate = min(bare) / min(own), number / min(own)
    return [
        Bar(
            name=f"embeddings of {TOKENS} tokens",
            value=round(rate),
            unit="texts/s",
            bar=TEXTS_BAR,
            met=rate >= TEXTS_BAR,
        ),
        Bar(
            name=f"embeddings of {TOKENS} tokens, share of onnxruntime alone",
            value=round(share, 2),
            unit="",
            bar=SHARE_OF_BARE_BAR,
            met=share >= SHARE_OF_BARE_BAR,
        ),
    ]


def bare_session(graph: Path) -> Callable[[np.ndarray], object]:
    """What embeds a batch with nothing around it, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return lambda ids: session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})


async def reranks(service: RankingService) -> list[Bar]:
    """The 95th percentile for 50 passages of one sentence, which has the bar, and of four."""
    bars = []
    for sentences, bar in ((1, RERANK_BAR_MS), (4, None)):
        seconds = []
        for number in range(RERANKS):
            found = texts(number * TEXTS)[:PASSAGES]
            passages = [" ".join(found[(n + m) % PASSAGES] for m in range(sentences)) for n in range(PASSAGES)]
            begun = time.perf_counter()
            answer = await service.rerank(call_of(), RerankRequest(query="who asked for a refund", documents=passages))
            seconds.append(time.perf_counter() - begun)
        p95 = sorted(seconds)[int(0.95 * len(seconds))] * 1_000
        length = round(answer.usage.total_tokens / (PASSAGES + 1))
        bars.append(
            Bar(
                name=f"rerank of {PASSAGES} passages of {length} tokens, p95",
                value=round(p95),
                unit="ms",
                bar=bar,
                met=bar is None or p95 <= bar,
            )
        )
    return bars


def run() -> list[Bar]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))
