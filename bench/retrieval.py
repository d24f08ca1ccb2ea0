"""Hybrid search over 50,000 chunks: latency with the query's embedding included, and recall of the vector index.

    make bench-retrieval

One collection of 50,000 chunks of made-up but word-like text (words of the model's vocabulary, drawn by Zipf's law,
seeded), and a second one of 12,500 beside it in the same indexes. One chunk in 25 has its real vector, the others
random ones of the same length.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import numpy as np
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine

from bench import Bar
from omni.apps.embedded.launch import free_port
from omni.apps.embedded.postgres import EmbeddedPostgres
from omni.apps.schema import whole_schema
from omni.contracts.principal import Principal
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.migrate import migrate
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.retrieval.repository import collections, documents, search
from omni.inference.retrieval.repository.documents import NewChunk, NewDocument
from omni.inference.retrieval.schemas import CollectionRequest
from omni.inference.retrieval.search import Search, Wanted
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7
from omni.telemetry.metrics import EngineMetrics

CHUNKS, OTHER_CHUNKS, CHUNKS_PER_DOCUMENT = 50_000, 12_500, 500
WORDS_PER_CHUNK = 120
REAL_EVERY = 25
QUERIES, WARM_UP = 400, 40
P95_BAR_MS, RECALL_BAR = 40.0, 0.95


class Corpus:
    """Seeded text and vectors."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(7)
        found = importlib.util.find_spec(MINILM.package)
        assert found is not None
        assert found.origin is not None
        lines = (Path(found.origin).parent / "model/vocab.txt").read_text(encoding="utf-8").splitlines()
        words = [word for word in lines if word.isascii() and word.isalpha() and len(word) > 2]
        self._words = np.array(words)
        odds = 1 / np.arange(1, len(words) + 1)
        self._odds = odds / odds.sum()

    def text(self, words: int) -> str:
        return " ".join(self.random.choice(self._words, words, p=self._odds))

    def vector(self) -> np.ndarray:
        vector = self.random.standard_normal(MINILM.dimensions, np.float32)
        return np.asarray(vector / np.linalg.norm(vector))


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[Database, DatabaseAddress]]:
    """A migrated PostgreSQL of its own in a folder, new or from before; sessions as omni_app, and its address."""
    master_key = MasterKey.load_or_create(folder.with_suffix(".key"))
    service = EmbeddedPostgres(folder, free_port(), master_key)
    service.prepare()
    command = service.command()
    process = subprocess.Popen(
        command.arguments,
        env={**os.environ, **command.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await service.wait_until_ready(30)
        address = DatabaseAddress(service.url, master_key)
        await migrate(address, whole_schema())
        patient = PoolSettings(statement_timeout_seconds=600)
        database = Database(create_engine(address.url(Role.APP), "bench", patient))
        yield database, address
        await database.close()
    finally:
        process.send_signal(service.stop_signal)
        process.wait(30)


def call_of(tenant_id: UUID) -> Call:
    """A call with an hour of time."""
    deadline = unix_micros() + 3_600_000_000
    return Call(Principal(uuid7(), tenant_id, uuid7(), "test", None, deadline))


async def fill(database: Database, embedder: Embedder, corpus: Corpus, tenant_id: UUID, count: int) -> UUID:
    """A collection of `count` chunks."""
    async with database.write(tenant_id) as session:
        collection = await collections.add(session, CollectionRequest(name="bench"))
    for number in range(count // CHUNKS_PER_DOCUMENT):
        texts = [corpus.text(WORDS_PER_CHUNK) for _ in range(CHUNKS_PER_DOCUMENT)]
        call = call_of(tenant_id)
        real = await embedder.embed(call, await embedder.tokenize(call, [t[:600] for t in texts[::REAL_EVERY]]))
        vectors = [real[i // REAL_EVERY] if i % REAL_EVERY == 0 else corpus.vector() for i in range(len(texts))]
        parts = [NewChunk(0, len(t), None, t, v) for t, v in zip(texts, vectors, strict=True)]
        document = NewDocument(collection.id, "english", f"{number}.txt", "text/plain", os.urandom(32), "", None, 0)
        async with database.write(tenant_id) as session:
            await collections.count(session, collection.id, 1, len(parts), 0)
            await documents.add(session, document, parts)
    return collection.id


async def analyze(owner_url: URL) -> None:
    """What autovacuum does within a minute of a large ingest."""
    engine = create_async_engine(owner_url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text("vacuum analyze document_chunks"))
        await connection.execute(text("vacuum analyze collection_words"))
    await engine.dispose()


async def recall_at_10(
    database: Database, tenant_id: UUID, collection_id: UUID, queries: Sequence[np.ndarray]
) -> float:
    """Share of the ten truly nearest chunks that the index finds, over the queries."""
    exact = text(
        "select id from document_chunks where collection_id = :id order by embedding <=> cast(:q as halfvec) limit 10"
    )
    hits = 0
    for query in queries:
        async with database.read(tenant_id) as session:
            collection = await collections.find(session, collection_id)
            assert collection is not None
            scope = await search.scope_of(session, collection, None)
            found = {chunk_id for chunk_id, _ in (await search.nearest(session, scope, query, 100))[:10]}
            await session.execute(text("set local enable_indexscan = off"))
            literal = "[" + ",".join(map(str, query.tolist())) + "]"
            rows = await session.all(exact, {"id": collection_id, "q": literal})
            hits += sum(row["id"] in found for row in rows)
    return hits / (10 * len(queries))


async def measure(folder: Path) -> list[Bar]:
    """Fill, warm up, measure."""
    corpus, tenant_id, cores = Corpus(), uuid7(), os.cpu_count() or 1
    pool = EnginePool(cores, 64, EngineMetrics(CollectorRegistry()))
    settings = InferenceSettings(model_cache=folder / "models", principal_secret=b"")
    embedder = Embedder(MINILM, settings, pool, cores)
    async with started(folder / "postgres") as (database, address):
        collection_id = await fill(database, embedder, corpus, tenant_id, CHUNKS)
        other_id = await fill(database, embedder, corpus, tenant_id, OTHER_CHUNKS)
        await analyze(address.url(Role.OWNER))
        find = Search(database, embedder).find
        times = []
        for number in range(QUERIES):
            query = corpus.text(8)
            begun = time.perf_counter()
            await find(call_of(tenant_id), collection_id, Wanted(query, 10, "hybrid"))
            if number >= WARM_UP:
                times.append((time.perf_counter() - begun) * 1000)
        call = call_of(tenant_id)
        asked = await embedder.embed(call, await embedder.tokenize(call, [corpus.text(8) for _ in range(50)]))
        recalls = [await recall_at_10(database, tenant_id, which, asked) for which in (collection_id, other_id)]
    pool.close()
    p50, p95 = (float(np.percentile(times, percent)) for percent in (50, 95))
    return [
        Bar(name="hybrid search p50, 50,000 chunks", value=round(p50, 1), unit="ms", bar=None, met=True),
        Bar(
            name="hybrid search p95, 50,000 chunks",
            value=round(p95, 1),
            unit="ms",
            bar=P95_BAR_MS,
            met=p95 <= P95_BAR_MS,
        ),
        *(
            Bar(name=f"recall@10, {name}", value=value, unit="share", bar=RECALL_BAR, met=value >= RECALL_BAR)
            for name, value in zip(("50,000 chunks", "12,500 chunks beside them"), recalls, strict=True)
        ),
    ]


def run() -> list[Bar]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))
