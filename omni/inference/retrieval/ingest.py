"""From a file to a stored document: extract, cut, embed, then one transaction."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from uuid import UUID

from omni.foundation.db.sessions import Database
from omni.inference.language.embedder import Embedder
from omni.inference.retrieval.chunking import Span, chunks, halves
from omni.inference.retrieval.errors import collection_not_found, storage_quota_exceeded
from omni.inference.retrieval.extraction import Extracted, Extractor
from omni.inference.retrieval.repository import collections, documents
from omni.inference.retrieval.repository.documents import NewChunk, NewDocument
from omni.inference.retrieval.schemas import Document
from omni.inference.retrieval.tables import DIMENSIONS
from omni.inference.runtime.call import Call

VECTOR_BYTES = 2 * DIMENSIONS


class Ingest:
    """Adds documents to collections."""

    def __init__(self, database: Database, embedder: Embedder, extractor: Extractor) -> None:
        self._database = database
        self._embedder = embedder
        self._extractor = extractor

    async def add(
        self, call: Call, collection_id: UUID, name: str, declared_type: str, data: bytes
    ) -> tuple[Document, bool]:
        """The stored document, and whether it is new: the same name and content are stored once.

        Raises NotFound `collection_not_found`, LimitExceeded `storage_quota_exceeded` and what Extractor.extract and
        the engines raise. Whatever is raised, nothing is stored.
        """
        digest = hashlib.sha256(data).digest()
        tenant_id = call.principal.tenant_id
        async with self._database.read(tenant_id) as session:
            if await collections.find(session, collection_id) is None:
                raise collection_not_found()
            same = await documents.find_same(session, collection_id, name, digest)
        if same is not None:
            return same, False
        extracted = await self._extractor.extract(call, name, declared_type, data)
        parts = await self._embedded(call, extracted)
        size = len(extracted.text.encode("utf-8")) + VECTOR_BYTES * len(parts)
        document = NewDocument(
            collection_id=collection_id,
            name=name,
            content_type=extracted.content_type,
            content_sha256=digest,
            text=extracted.text,
            page_starts=extracted.page_starts,
            stored_bytes=size,
        )
        call.seconds_left()
        async with self._database.write(tenant_id) as session:
            await collections.lock_storage(session)
            same = await documents.find_same(session, collection_id, name, digest)
            if same is not None:
                return same, False
            stored, limit = await collections.stored_bytes(session), call.principal.storage_bytes_limit
            if limit is not None and stored + size > limit:
                raise storage_quota_exceeded(limit, stored, size)
            if not await collections.count(session, collection_id, 1, len(parts), size):
                raise collection_not_found()
            return await documents.add(session, document, parts), True

    async def _embedded(self, call: Call, extracted: Extracted) -> list[NewChunk]:
        """The chunks of a text with their vectors."""
        text = extracted.text
        token_spans = await self._embedder.token_spans(call, text)
        spans = chunks(text, token_spans)
        inputs = await self._embedder.tokenize(call, [text[span.start : span.end] for span in spans])
        spans, inputs = await self._all_fit(call, text, spans, inputs)
        vectors = await self._embedder.embed(call, inputs)
        call.usage.input_tokens += sum(len(ids) for ids in inputs)
        call.usage.model = self._embedder.model.name
        return [
            NewChunk(
                start=span.start,
                end=span.end,
                page=_page(extracted.page_starts, span.start),
                text=text[span.start : span.end],
                embedding=vector,
            )
            for span, vector in zip(spans, vectors, strict=True)
        ]

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


def _page(page_starts: Sequence[int] | None, offset: int) -> int | None:
    return None if page_starts is None else bisect_right(page_starts, offset)
