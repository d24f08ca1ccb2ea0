"""Documents with their chunks and word counts: add, list, find, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, insert, select, text

from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.inference.retrieval.schemas import Document
from omni.inference.retrieval.tables import document_chunks, documents
from omni.kit.ids import uuid7

if TYPE_CHECKING:
    import numpy as np

_COLUMNS = (
    documents.c.id,
    documents.c.collection_id,
    documents.c.name,
    documents.c.content_type,
    documents.c.content_sha256,
    documents.c.page_starts,
    documents.c.chunk_count,
    documents.c.stored_bytes,
    documents.c.created_at,
)
_COUNT_WORDS = text("""
    insert into collection_words (tenant_id, collection_id, word, chunk_count)
    select :tenant_id, :collection_id, word, count(*)
    from document_chunks, unnest(tsvector_to_array(words)) as word
    where tenant_id = :tenant_id and document_id = :document_id group by word
    on conflict (tenant_id, collection_id, word)
    do update set chunk_count = collection_words.chunk_count + excluded.chunk_count
""")
_UNCOUNT_WORDS = text("""
    update collection_words set chunk_count = chunk_count - counted.chunks
    from (
        select word, count(*) as chunks from document_chunks, unnest(tsvector_to_array(words)) as word
        where tenant_id = :tenant_id and document_id = :document_id group by word
    ) as counted
    where tenant_id = :tenant_id and collection_id = :collection_id and collection_words.word = counted.word
""")
_FORGET_WORDS = text("""
    delete from collection_words
    where tenant_id = :tenant_id and collection_id = :collection_id and chunk_count <= 0
""")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document that is ready to be stored."""

    collection_id: UUID
    name: str
    content_type: str
    content_sha256: bytes
    text: str
    page_starts: list[int] | None
    """Offset at which each page of a PDF starts."""
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A part of a document; `embedding` is float32 [384] of length 1."""

    start: int
    end: int
    page: int | None
    text: str
    embedding: np.ndarray


async def add(session: WriteSession, document: NewDocument, chunks: Sequence[NewChunk]) -> Document:
    """Store a document with its chunks and count its words. Its collection must be locked (collections.count)."""
    document_id = uuid7()
    row = await session.first(
        insert(documents)
        .values(
            tenant_id=session.tenant_id,
            id=document_id,
            collection_id=document.collection_id,
            name=document.name,
            content_type=document.content_type,
            content_sha256=document.content_sha256,
            text=document.text,
            page_starts=document.page_starts,
            chunk_count=len(chunks),
            stored_bytes=document.stored_bytes,
        )
        .returning(*_COLUMNS)
    )
    assert row is not None
    shared = {
        "tenant_id": session.tenant_id,
        "collection_id": document.collection_id,
        "document_id": document_id,
    }
    await session.execute(
        insert(document_chunks),
        [
            {
                **shared,
                "id": uuid7(),
                "start_offset": chunk.start,
                "end_offset": chunk.end,
                "page": chunk.page,
                "text": chunk.text,
                "embedding": chunk.embedding,
            }
            for chunk in chunks
        ],
    )
    await session.execute(_COUNT_WORDS, shared)
    return _document(row)


async def find_same(session: ReadSession, collection_id: UUID, name: str, content_sha256: bytes) -> Document | None:
    """The document of that name and content, if the collection has it."""
    row = await session.first(
        select(*_COLUMNS).where(
            documents.c.tenant_id == session.tenant_id,
            documents.c.collection_id == collection_id,
            documents.c.name == name,
            documents.c.content_sha256 == content_sha256,
        )
    )
    return None if row is None else _document(row)


async def page(session: ReadSession, collection_id: UUID, limit: int, after: UUID | None) -> list[Document]:
    """Up to `limit` documents of a collection, newest first, of those older than `after`."""
    statement = select(*_COLUMNS).where(
        documents.c.tenant_id == session.tenant_id, documents.c.collection_id == collection_id
    )
    if after is not None:
        statement = statement.where(documents.c.id < after)
    rows = await session.all(statement.order_by(documents.c.id.desc()).limit(limit))
    return [_document(row) for row in rows]


async def find(session: ReadSession, collection_id: UUID, document_id: UUID, with_text: bool) -> Document | None:
    """The document, or None when the collection has none of that id."""
    columns = (*_COLUMNS, documents.c.text) if with_text else _COLUMNS
    row = await session.first(select(*columns).where(*_is(session, collection_id, document_id)))
    return None if row is None else _document(row)


async def remove(session: WriteSession, document: Document) -> None:
    """Delete a document with its chunks and words. Its collection must be locked (collections.count)."""
    shared = {
        "tenant_id": session.tenant_id,
        "collection_id": document.collection_id,
        "document_id": document.id,
    }
    await session.execute(_UNCOUNT_WORDS, shared)
    await session.execute(_FORGET_WORDS, {"tenant_id": session.tenant_id, "collection_id": document.collection_id})
    await session.execute(delete(documents).where(*_is(session, document.collection_id, document.id)))


def _is(session: ReadSession, collection_id: UUID, document_id: UUID) -> tuple[Any, Any, Any]:
    return (
        documents.c.tenant_id == session.tenant_id,
        documents.c.collection_id == collection_id,
        documents.c.id == document_id,
    )


def _document(row: Mapping[Any, Any]) -> Document:
    starts = row["page_starts"]
    return Document(
        id=row["id"],
        collection_id=row["collection_id"],
        name=row["name"],
        content_type=row["content_type"],
        content_sha256=bytes(row["content_sha256"]).hex(),
        page_count=None if starts is None else len(starts),
        chunk_count=row["chunk_count"],
        stored_bytes=row["stored_bytes"],
        created_at=row["created_at"],
        text=row.get("text"),
    )
