"""Search in one large collection: latency, recall of the vector index, alone and under a filter that 1 % pass.

    OMNI_BENCH_CHUNKS=1000000 make bench-retrieval_scale        (200,000 chunks when it is not set)

Loading takes most of the time. With OMNI_BENCH_HOME=FOLDER what is loaded stays in that folder, and the next run with
the same number of chunks measures it again.

Vectors are made from 2,000 real ones of the embedding model (word-like texts) as centres of clusters, with noise,
seeded; texts are words of the model's vocabulary by Zipf's law. Rows are loaded by COPY, both indexes are built
afterwards, as for a restore; what is searched is the same as by way of the endpoint. Also: what each part of a search
takes alone, how near the ranking of words comes to one of all chunks, and pages of PDF files whose text is read in a
second.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
from prometheus_client import CollectorRegistry
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import text

from bench import Bar
from bench.retrieval import Corpus, call_of, started
from omni.foundation.db.sessions import Database, ReadSession
from omni.inference.language.embedder import Embedder
from omni.inference.language.models import MINILM
from omni.inference.pdf.reader import PdfReader
from omni.inference.retrieval.filtering import Filter, read_filter
from omni.inference.retrieval.repository import collections, search
from omni.inference.retrieval.repository.filters import matching_documents
from omni.inference.retrieval.repository.search import Scope
from omni.inference.retrieval.schemas import CollectionRequest
from omni.inference.retrieval.search import LEG_CANDIDATES, Search, Wanted
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.ids import uuid7
from omni.telemetry.metrics import EngineMetrics

CHUNKS = int(os.environ.get("OMNI_BENCH_CHUNKS", "200000"))
CHUNKS_PER_DOCUMENT, WORDS_PER_CHUNK = 100, 60
CENTRES, NOISE = 2_000, 0.6  # length of the noise, by that of a centre
SHARDS = 100
ROWS_SEED, QUERIES_SEED = 7, 11
HOME = os.environ.get("OMNI_BENCH_HOME")
QUERIES, WARM_UP, RECALL_QUERIES, WORD_QUERIES = 300, 60, 50, 20
P95_BAR_MS, RECALL_BAR, PAGES_BAR = 60.0, 0.95, 100.0
PDF_PAGES = 1_000
FILTER = {"shard": 7}
INDEXES = ("ix_document_chunks_embedding", "ix_document_chunks_words")


_ALL_RANKED = text("""
    with weighed as materialized (
        select word::tsquery as word, ln(1 + (:total - chunk_count + 0.5) / (chunk_count + 0.5)) as idf
        from (
            select quote_literal(word) as word, chunk_count from collection_words
            where collection_id = :id and word = any(tsvector_to_array(to_tsvector('english', :query)))
        ) as counted
    )
    select (select sum(idf * ts_rank(words, word)) from weighed) as score from document_chunks
    where collection_id = :id and words @@ (select string_agg(word::text, ' | ')::tsquery from weighed)
    order by score desc limit 10
""")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A collection that is ready to be searched."""

    chunks: int
    tenant_id: str
    collection_id: str
    load_seconds: float
    index_seconds: float


@dataclass(frozen=True, slots=True)
class Made:
    """Where rows and queries come from."""

    random: np.random.Generator
    words: np.ndarray
    odds: np.ndarray
    centres: np.ndarray

    def texts(self, count: int) -> list[str]:
        drawn = self.words[np.searchsorted(self.odds, self.random.random((count, WORDS_PER_CHUNK)))]
        return [" ".join(row) for row in drawn]

    def queries(self, count: int) -> list[str]:
        """Of eight words."""
        return [" ".join(each.split()[:8]) for each in self.texts(count)]

    def vectors(self, count: int) -> np.ndarray:
        noise = self.random.standard_normal((count, MINILM.dimensions), np.float32)
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        found = self.centres[self.random.integers(0, len(self.centres), count)] + noise
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


async def source(embedder: Embedder, seed: int) -> Made:
    """The same centres each time; what is drawn around them differs with the seed."""
    corpus, call = Corpus(), call_of(uuid7())
    inputs = await embedder.tokenize(call, [corpus.text(24) for _ in range(CENTRES)])
    centres = np.array(await embedder.embed(call, inputs))
    return Made(np.random.default_rng(seed), corpus._words, np.cumsum(corpus._odds), centres)


async def load(admin: asyncpg.Connection, made: Made, tenant_id: UUID, collection_id: UUID) -> None:
    """COPY of all rows, as the administrator: a role under row-level security may not."""
    for index in INDEXES:
        await admin.execute(f"drop index {index}")
    ids = [uuid7() for _ in range(CHUNKS // CHUNKS_PER_DOCUMENT)]

    async def documents() -> AsyncIterator[bytes]:
        for number, document_id in enumerate(ids):
            shard = f'{{"shard": {number % SHARDS}}}'
            yield (
                f"{tenant_id}\t{document_id}\t{collection_id}\t{number}.txt\ttext/plain\t\\\\x{number:08x}\t\t"
                f"{CHUNKS_PER_DOCUMENT}\t0\t{shard}\n"
            ).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for first in range(0, len(ids), 20):
            part = ids[first : first + 20]
            count = len(part) * CHUNKS_PER_DOCUMENT
            rows = zip(made.texts(count), made.vectors(count).tolist(), strict=True)
            lines = [
                f"{tenant_id}\t{uuid7()}\t{collection_id}\t{part[n // CHUNKS_PER_DOCUMENT]}\t0\t{len(words)}\t{words}\t"
                f"[{','.join(f'{x:.5f}' for x in vector)}]\n"
                for n, (words, vector) in enumerate(rows)
            ]
            yield "".join(lines).encode()

    await admin.copy_to_table(
        "documents", source=documents(),
        columns=["tenant_id", "id", "collection_id", "name", "content_type", "content_sha256", "text", "chunk_count",
                 "stored_bytes", "metadata"],
    )  # fmt: skip
    await admin.copy_to_table(
        "document_chunks", source=chunks(),
        columns=["tenant_id", "id", "collection_id", "document_id", "start_offset", "end_offset", "text", "embedding"],
    )  # fmt: skip


async def build_indexes(admin: asyncpg.Connection, tenant_id: UUID, collection_id: UUID) -> float:
    """Both indexes, the counts of words, and what autovacuum does after a large ingest. Seconds that the vector index
    took.
    """
    await admin.execute("set maintenance_work_mem = '3GB'")
    await admin.execute(f"set max_parallel_maintenance_workers = {os.cpu_count() or 1}")
    begun = time.perf_counter()
    await admin.execute(
        "create index ix_document_chunks_embedding on document_chunks using hnsw (embedding halfvec_cosine_ops) "
        "with (m = 16, ef_construction = 64)"
    )
    seconds = time.perf_counter() - begun
    await admin.execute("create index ix_document_chunks_words on document_chunks using gin (words)")
    await admin.execute(
        "insert into collection_words (tenant_id, collection_id, word, chunk_count) "
        f"select '{tenant_id}', '{collection_id}', word, ndoc from ts_stat('select words from document_chunks')"
    )
    await admin.execute(
        "update collections set document_count = $1, chunk_count = $2 where id = $3",
        CHUNKS // CHUNKS_PER_DOCUMENT, CHUNKS, collection_id,
    )  # fmt: skip
    for table in ("document_chunks", "documents", "collection_words"):
        await admin.execute(f"vacuum analyze {table}")
    return seconds


async def latencies(
    find: Search, made: Made, tenant_id: UUID, collection_id: UUID, where: Filter | None
) -> list[float]:
    """Milliseconds of hybrid searches, the query's embedding included."""
    times = []
    for number, query in enumerate(made.queries(QUERIES)):
        begun = time.perf_counter()
        await find.find(call_of(tenant_id), collection_id, Wanted(query, 10, "hybrid", where))
        if number >= WARM_UP:
            times.append((time.perf_counter() - begun) * 1000)
    return times


async def scope_of_all(session: ReadSession, collection_id: UUID) -> Scope:
    collection = await collections.find(session, collection_id)
    assert collection is not None
    return await search.scope_of(session, collection, None)


async def recall(
    database: Database, tenant_id: UUID, collection_id: UUID, queries: np.ndarray, where: Filter | None
) -> float:
    """Share of the ten truly nearest chunks among the first ten that are found."""
    hits = 0
    for query in queries:
        async with database.read(tenant_id) as session:
            collection = await collections.find(session, collection_id)
            assert collection is not None
            scope = await search.scope_of(session, collection, where)
            found = {chunk_id for chunk_id, _ in (await search.nearest(session, scope, query, 100))[:10]}
            await session.execute(text("select set_config('enable_indexscan', 'off', true)"))
            parameters: dict[str, Any] = {"id": collection_id, "q": "[" + ",".join(map(str, query.tolist())) + "]"}
            passing = ""
            if where is not None:
                ids = await session.execute(matching_documents(session, collection_id, where))
                passing, parameters["ids"] = "and document_id = any(cast(:ids as uuid[]))", list(ids.scalars())
            exact = text(
                f"select id from document_chunks where collection_id = :id {passing} "
                "order by embedding <=> cast(:q as halfvec) limit 10"
            )
            hits += sum(row["id"] in found for row in await session.all(exact, parameters))
    return hits / (10 * len(queries))


async def parts(
    database: Database, embedder: Embedder, made: Made, tenant_id: UUID, collection_id: UUID
) -> dict[str, list[float]]:
    """Milliseconds of the parts of a search, one after the other: a search embeds while it looks for words."""
    times: dict[str, list[float]] = {"embedding": [], "words": [], "vectors": []}
    for query in made.queries(QUERIES - WARM_UP):
        marks = [time.perf_counter()]
        vector, _ = await embedder.embed_text(call_of(tenant_id), query)
        marks.append(time.perf_counter())
        async with database.read(tenant_id) as session:
            scope = await scope_of_all(session, collection_id)
            marks.append(time.perf_counter())
            await search.matching(session, scope, query, LEG_CANDIDATES)
            marks.append(time.perf_counter())
            await search.nearest(session, scope, vector, LEG_CANDIDATES)
        marks.append(time.perf_counter())
        for part, first in zip(times, (0, 2, 3), strict=True):
            times[part].append((marks[first + 1] - marks[first]) * 1000)
    return times


async def words_recall_at_10(database: Database, made: Made, tenant_id: UUID, collection_id: UUID) -> float:
    """Share of the scores of the ten best by words that are as high as if every chunk with any word were ranked."""
    hits = wanted = 0
    for query in made.queries(WORD_QUERIES):
        async with database.read(tenant_id) as session:
            scope = await scope_of_all(session, collection_id)
            found = await search.matching(session, scope, query, LEG_CANDIDATES)
            parameters = {"id": collection_id, "query": query, "total": scope.collection_chunks}
            best = [row["score"] for row in await session.all(_ALL_RANKED, parameters)]
        if best:
            hits += sum(score >= best[-1] - 1e-6 for _, score in found[: len(best)])
            wanted += len(best)
    return hits / wanted


async def pages_per_second(settings: InferenceSettings, pool: EnginePool) -> float:
    """Of a PDF file of a thousand pages with 40 lines each, the start of the reading process included."""
    file = io.BytesIO()
    canvas, corpus = Canvas(file, pagesize=A4), Corpus()
    lines = [corpus.text(12) for _ in range(400)]
    for page in range(PDF_PAGES):
        for number in range(40):
            canvas.drawString(50, 800 - 19 * number, lines[(page * 7 + number) % len(lines)])
        canvas.showPage()
    canvas.save()
    reader = PdfReader(settings, pool)
    begun = time.perf_counter()
    pages = (await reader.text(call_of(uuid7()), file.getvalue())).pages
    assert len(pages) == PDF_PAGES
    return PDF_PAGES / (time.perf_counter() - begun)


async def loaded(folder: Path, embedder: Embedder, database: Database, admin_url: str) -> Loaded:
    """The collection in the folder, loaded now unless it is there."""
    note = folder / "loaded.json"
    if note.exists():
        found = Loaded(**json.loads(note.read_text()))
        if found.chunks != CHUNKS:
            raise SystemExit(f"{folder} has {found.chunks:,} chunks, not {CHUNKS:,}: name another OMNI_BENCH_HOME")
        return found
    tenant_id = uuid7()
    async with database.write(tenant_id) as session:
        collection = await collections.add(session, CollectionRequest(name="bench"))
    admin = await asyncpg.connect(admin_url)
    made, begun = await source(embedder, ROWS_SEED), time.perf_counter()
    await load(admin, made, tenant_id, collection.id)
    load_seconds = time.perf_counter() - begun
    index_seconds = await build_indexes(admin, tenant_id, collection.id)
    await admin.close()
    result = Loaded(CHUNKS, str(tenant_id), str(collection.id), load_seconds, index_seconds)
    note.write_text(json.dumps(asdict(result)))
    return result


async def measure(folder: Path) -> list[Bar]:
    """Load, build, warm up, measure."""
    cores = os.cpu_count() or 1
    pool = EnginePool(cores, 64, EngineMetrics(CollectorRegistry()))
    settings = InferenceSettings(model_cache=folder / "models", principal_secret=b"")
    embedder = Embedder(MINILM, settings, pool, cores)
    async with started(folder / "postgres") as (database, address):
        data = await loaded(folder, embedder, database, address.admin_url)
        tenant_id, collection_id = UUID(data.tenant_id), UUID(data.collection_id)
        made, find, where = await source(embedder, QUERIES_SEED), Search(database, embedder), read_filter(FILTER)
        plain = await latencies(find, made, tenant_id, collection_id, None)
        filtered = await latencies(find, made, tenant_id, collection_id, where)
        alone = await parts(database, embedder, made, tenant_id, collection_id)
        by_words = await words_recall_at_10(database, made, tenant_id, collection_id)
        queries = made.vectors(RECALL_QUERIES)
        recalls = [await recall(database, tenant_id, collection_id, queries, each) for each in (None, where)]
    rate = await pages_per_second(settings, pool)
    pool.close()
    timed = [*_timed(plain, ""), *_timed(filtered, ", filter of 1 %")]
    return [*_shown(data), *timed, *_alone(alone), *_recalled(recalls, by_words), _read(rate)]


def _shown(data: Loaded) -> list[Bar]:
    return [
        Bar(name=f"COPY of {CHUNKS:,} chunks", value=round(data.load_seconds), unit="s", bar=None, met=True),
        Bar(name=f"vector index of {CHUNKS:,} chunks", value=round(data.index_seconds), unit="s", bar=None, met=True),
    ]


def _timed(times: list[float], what: str) -> list[Bar]:
    p50, p95 = (float(np.percentile(times, percent)) for percent in (50, 95))
    name = f"hybrid search {{}}, {CHUNKS:,} chunks{what}"
    return [
        Bar(name=name.format("p50"), value=round(p50, 1), unit="ms", bar=None, met=True),
        Bar(name=name.format("p95"), value=round(p95, 1), unit="ms", bar=P95_BAR_MS, met=p95 <= P95_BAR_MS),
    ]


def _alone(times: dict[str, list[float]]) -> list[Bar]:
    return [
        Bar(
            name=f"{part} alone p{percent}, {CHUNKS:,} chunks",
            value=round(float(np.percentile(milliseconds, percent)), 1),
            unit="ms",
            bar=None,
            met=True,
        )
        for part, milliseconds in times.items()
        for percent in (50, 95)
    ]


def _recalled(recalls: list[float], by_words: float) -> list[Bar]:
    names = ("recall@10", "recall@10, filter of 1 %")
    of_vectors = [
        Bar(name=f"{name}, {CHUNKS:,} chunks", value=value, unit="share", bar=RECALL_BAR, met=value >= RECALL_BAR)
        for name, value in zip(names, recalls, strict=True)
    ]
    name = f"words beside a ranking of all, best 10, {CHUNKS:,} chunks"
    return [*of_vectors, Bar(name=name, value=round(by_words, 3), unit="share", bar=None, met=True)]


def _read(rate: float) -> Bar:
    return Bar(name="PDF pages read", value=round(rate), unit="pages/s", bar=PAGES_BAR, met=rate >= PAGES_BAR)


def run() -> list[Bar]:
    """All figures."""
    if HOME:
        Path(HOME).mkdir(parents=True, exist_ok=True)
        return asyncio.run(measure(Path(HOME)))
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(Path(folder)))
