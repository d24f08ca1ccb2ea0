"""From a file to a stored document: extract, cut, embed what is new, then one transaction."""

from __future__ import annotations

import hashlib
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from omni.foundation.db.sessions import Database, ReadSession
from omni.inference.language.chunking import ChunkRules, Span, chunks, halves
from omni.inference.language.embedder import Embedder
from omni.inference.retrieval.errors import (
    collection_not_found,
    document_changed,
    document_name_taken,
    document_not_found,
)
from omni.inference.retrieval.extraction import Extracted, Extractor, content_type_of
from omni.inference.retrieval.languages import text_search_of
from omni.inference.retrieval.repository import collections, documents
from omni.inference.retrieval.repository.documents import KeptChunk, NewChunk, NewDocument
from omni.inference.retrieval.schemas import Collection, Document, IngestedDocument, Metadata
from omni.inference.retrieval.tables import VECTOR_BYTES
from omni.inference.runtime.call import Call
from omni.inference.storage.repository import lock_storage, require_room
from omni.telemetry.inference_metrics import IngestMetrics

TRIES = 3
"""How often a request prepares its content, when others replace the same document meanwhile."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A document as it was sent. `document_id` says which one it replaces; None = the one of its name, if there is."""

    collection_id: UUID
    document_id: UUID | None
    name: str
    declared_type: str
    data: bytes
    metadata: Metadata | None
    """None: a document that is there keeps its own."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A content that is ready to be stored in the place of `target`, or as a new document."""

    collection: Collection
    target: Document | None
    document: NewDocument
    new: list[NewChunk]
    kept: list[KeptChunk]
    ocr_pages: int


class Ingest:
    """Adds documents to collections and replaces them."""

    def __init__(self, database: Database, embedder: Embedder, extractor: Extractor, metrics: IngestMetrics) -> None:
        self._database = database
        self._embedder = embedder
        self._extractor = extractor
        self._metrics = metrics

    async def put(self, call: Call, sent: Sent) -> IngestedDocument:
        """The stored document. The same content changes nothing; of another one only chunks whose text is new are
        embedded. Who searches meanwhile sees the old document or the new one.

        Raises NotFound `collection_not_found` or `document_not_found`, Conflict `document_name_taken` or
        `document_changed`, LimitExceeded `storage_quota_exceeded` and what Extractor.extract and the engines raise.
        Whatever is raised, nothing is stored.
        """
        began, outcome = time.monotonic(), "failed"
        try:
            stored = await self._put(call, sent)
            outcome = stored.outcome
        finally:
            self._metrics.duration.observe(time.monotonic() - began, outcome)
        self._metrics.chunks.add("embedded", count=stored.embedded_chunks)
        self._metrics.chunks.add("kept", count=stored.kept_chunks)
        return stored

    async def _put(self, call: Call, sent: Sent) -> IngestedDocument:
        digest = hashlib.sha256(sent.data).digest()
        extracted: Extracted | None = None
        for _ in range(TRIES):
            async with self._database.snapshot(call.principal.tenant_id) as session:
                collection = await _collection(session, sent)
                target = await _target(session, sent, digest)
                stored = [] if target is None else await documents.chunk_digests(session, target.id)
            if target is not None and _is_same(target, sent, digest):
                return await self._unchanged(call, target, sent.metadata)
            if extracted is None:
                extracted = await self._extractor.extract(call, sent.name, sent.declared_type, sent.data)
            new, kept = await self._chunks(call, extracted, collection.chunking.rules(), stored)
            size = len(extracted.text.encode("utf-8")) + VECTOR_BYTES * (len(new) + len(kept))
            document = NewDocument(
                collection_id=sent.collection_id,
                text_search=text_search_of(collection.language),
                name=sent.name,
                content_type=extracted.content_type,
                content_sha256=digest,
                text=extracted.text,
                page_starts=extracted.page_starts,
                stored_bytes=size,
                metadata=sent.metadata,
            )
            done = await self._store(
                call, sent, _Prepared(collection, target, document, new, kept, extracted.ocr_pages)
            )
            if done is not None:
                return done
        raise document_changed()

    async def _unchanged(self, call: Call, target: Document, metadata: Metadata | None) -> IngestedDocument:
        if metadata is not None and metadata != target.metadata:
            async with self._database.write(call.principal.tenant_id) as session:
                target = await documents.set_metadata(session, target, metadata)
        return _answer(target, "unchanged", 0, target.chunk_count, 0)

    async def _store(self, call: Call, sent: Sent, prepared: _Prepared) -> IngestedDocument | None:
        """The stored document; None when another request changed it since `prepared` looked at it."""
        document, before = prepared.document, prepared.target
        size_before, chunks_before = (before.stored_bytes, before.chunk_count) if before else (0, 0)
        call.seconds_left()
        async with self._database.write(call.principal.tenant_id) as session:
            await lock_storage(session)
            if (await _collection(session, sent)).settings() != prepared.collection.settings():
                return None
            target = await _target(session, sent, document.content_sha256)
            if (target and (target.id, target.version)) != (before and (before.id, before.version)):
                return None
            growth = document.stored_bytes - size_before
            await require_room(session, growth, call.principal.storage_bytes_limit)
            count = len(prepared.new) + len(prepared.kept)
            added = 0 if before else 1
            if not await collections.count(session, sent.collection_id, added, count - chunks_before, growth):
                raise collection_not_found()
            if before is None:
                added_one = await documents.add(session, document, prepared.new)
                return _answer(added_one, "created", count, 0, prepared.ocr_pages)
            replaced = await documents.replace(session, before.id, document, prepared.new, prepared.kept)
            return _answer(replaced, "replaced", len(prepared.new), len(prepared.kept), prepared.ocr_pages)

    async def _chunks(
        self, call: Call, extracted: Extracted, rules: ChunkRules, stored: Sequence[tuple[bytes, UUID]]
    ) -> tuple[list[NewChunk], list[KeptChunk]]:
        """The chunks of a text: those to be stored, with their vectors, and those that are `stored` by their digest."""
        text = extracted.text
        token_spans = await self._embedder.token_spans(call, text)
        spans = chunks(text, token_spans, rules, extracted.rows)
        inputs = await self._embedder.tokenize(call, [text[span.start : span.end] for span in spans])
        spans, inputs = await self._all_fit(call, text, spans, inputs)
        known: dict[bytes, list[UUID]] = {}
        for digest, chunk_id in reversed(stored):
            known.setdefault(digest, []).append(chunk_id)
        kept: list[KeptChunk] = []
        fresh: list[tuple[Span, list[int]]] = []
        for span, ids in zip(spans, inputs, strict=True):
            same = known.get(hashlib.sha256(text[span.start : span.end].encode("utf-8")).digest())
            if same:
                kept.append(KeptChunk(same.pop(), span.start, span.end, _page(extracted.page_starts, span.start)))
            else:
                fresh.append((span, ids))
        vectors = await self._embedder.embed(call, [ids for _, ids in fresh])
        call.usage.input_tokens += sum(len(ids) for _, ids in fresh)
        call.usage.model = self._embedder.model.name
        return [
            NewChunk(
                start=span.start,
                end=span.end,
                page=_page(extracted.page_starts, span.start),
                text=text[span.start : span.end],
                embedding=vector,
            )
            for (span, _), vector in zip(fresh, vectors, strict=True)
        ], kept

    async def _all_fit(
        self, call: Call, text: str, spans: list[Span], inputs: list[list[int]]
    ) -> tuple[list[Span], list[list[int]]]:
        """Cut in two what has more tokens alone than it had within its text (a cut word reads differently), until
        all fit.
        """
        most = self._embedder.model.max_tokens
        while any(len(ids) > most for ids in inputs):
            cut: list[Span] = []
            for span, ids in zip(spans, inputs, strict=True):
                cut.extend(halves(text, span) if len(ids) > most else (span,))
            spans = cut
            inputs = await self._embedder.tokenize(call, [text[span.start : span.end] for span in spans])
        return spans, inputs


async def _collection(session: ReadSession, sent: Sent) -> Collection:
    found = await collections.find(session, sent.collection_id)
    if found is None:
        raise collection_not_found()
    return found


async def _target(session: ReadSession, sent: Sent, digest: bytes) -> Document | None:
    """The document that what was sent belongs to; None when it is a new one. Raises what `Ingest.put` says of missing
    things and names.
    """
    same = await documents.find_same(session, sent.collection_id, sent.name, digest)
    named = same or await documents.find_named(session, sent.collection_id, sent.name)
    if sent.document_id is None:
        return named
    found = await documents.find(session, sent.collection_id, sent.document_id)
    if found is None:
        raise document_not_found()
    if named is not None and named.id != found.id:
        raise document_name_taken()
    return found


def _is_same(target: Document, sent: Sent, digest: bytes) -> bool:
    return (target.name, target.content_sha256, target.content_type) == (
        sent.name,
        digest.hex(),
        content_type_of(sent.name, sent.declared_type),
    )


def _answer(document: Document, outcome: str, embedded: int, kept: int, ocr_pages: int) -> IngestedDocument:
    what = {"outcome": outcome, "embedded_chunks": embedded, "kept_chunks": kept, "ocr_pages": ocr_pages}
    return IngestedDocument.model_validate({**document.model_dump(), **what})


def _page(page_starts: Sequence[int] | None, offset: int) -> int | None:
    return None if page_starts is None else bisect_right(page_starts, offset)
