"""Documents with their chunks and word counts: add, replace, list, find, delete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update

from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.inference.retrieval.errors import document_not_found
from omni.inference.retrieval.schemas import Document, Metadata
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
    documents.c.metadata,
    documents.c.version,
    documents.c.created_at,
    documents.c.updated_at,
)
_COUNT_WORDS = text("""
    insert into collection_words (tenant_id, collection_id, word, chunk_count)
    select :tenant_id, :collection_id, word, count(*)
    from document_chunks, unnest(tsvector_to_array(words)) as word
    where tenant_id = :tenant_id and id = any(cast(:chunk_ids as uuid[])) group by word order by word
    on conflict (tenant_id, collection_id, word)
    do update set chunk_count = collection_words.chunk_count + excluded.chunk_count
""")
_UNCOUNT_WORDS = text("""
    update collection_words set chunk_count = chunk_count - counted.chunks
    from (
        select word, count(*) as chunks from document_chunks, unnest(tsvector_to_array(words)) as word
        where tenant_id = :tenant_id and id = any(cast(:chunk_ids as uuid[])) group by word
    ) as counted
    where tenant_id = :tenant_id and collection_id = :collection_id and collection_words.word = counted.word
""")
_FORGET_WORDS = text("""
    delete from collection_words
    where tenant_id = :tenant_id and collection_id = :collection_id and chunk_count <= 0
""")
_MOVE_CHUNKS = text("""
    update document_chunks c set start_offset = moved.starts, end_offset = moved.ends, page = moved.page
    from unnest(cast(:chunk_ids as uuid[]), cast(:starts as int[]), cast(:ends as int[]), cast(:pages as int[]))
        as moved (id, starts, ends, page)
    where c.tenant_id = :tenant_id and c.id = moved.id
      and (c.start_offset, c.end_offset, c.page) is distinct from (moved.starts, moved.ends, moved.page)
""")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document that is ready to be stored."""

    collection_id: UUID
    text_search: str
    """PostgreSQL's configuration for the words of the chunks."""
    name: str
    content_type: str
    content_sha256: bytes
    text: str
    page_starts: list[int] | None
    """Offset at which each page of a PDF starts."""
    stored_bytes: int
    metadata: Metadata | None = None
    """None leaves what is there."""


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A part of a document; `embedding` is float32 [384] of length 1."""

    start: int
    end: int
    page: int | None
    text: str
    embedding: np.ndarray


@dataclass(frozen=True, slots=True)
class KeptChunk:
    """A chunk that is stored already, and its place in the document's new text."""

    chunk_id: UUID
    start: int
    end: int
    page: int | None


async def add(session: WriteSession, document: NewDocument, chunks: Sequence[NewChunk]) -> Document:
    """Store a document with its chunks and count its words. Its collection must be locked (collections.count)."""
    document_id = uuid7()
    values = {**_content(document, len(chunks)), "collection_id": document.collection_id, "name": document.name}
    row = await session.first(
        insert(documents).values(tenant_id=session.tenant_id, id=document_id, **values).returning(*_COLUMNS)
    )
    assert row is not None
    await _add_chunks(session, document, document_id, chunks)
    return _document(row)


async def replace(
    session: WriteSession, document_id: UUID, document: NewDocument, new: Sequence[NewChunk], kept: Sequence[KeptChunk]
) -> Document:
    """Give a document another content: chunks that are neither kept nor new go. Its collection must be locked
    (collections.count).
    """
    chunks = document_chunks.c
    kept_ids = [chunk.chunk_id for chunk in kept]
    gone = (
        chunks.tenant_id == session.tenant_id,
        chunks.document_id == document_id,
        chunks.id.not_in(kept_ids),
    )
    gone_ids = (await session.execute(select(chunks.id).where(*gone))).scalars().all()
    shared = {"tenant_id": session.tenant_id, "collection_id": document.collection_id}
    if gone_ids:
        await session.execute(_UNCOUNT_WORDS, {**shared, "chunk_ids": gone_ids})
        await session.execute(delete(document_chunks).where(*gone))
    if kept:
        places = {
            "starts": [chunk.start for chunk in kept],
            "ends": [chunk.end for chunk in kept],
            "pages": [chunk.page for chunk in kept],
        }
        await session.execute(_MOVE_CHUNKS, {"tenant_id": session.tenant_id, "chunk_ids": kept_ids, **places})
    await _add_chunks(session, document, document_id, new)
    if gone_ids:
        await session.execute(_FORGET_WORDS, shared)
    row = await session.first(
        update(documents)
        .where(*_is(session, document.collection_id, document_id))
        .values(
            **_content(document, len(kept) + len(new)),
            name=document.name,
            version=documents.c.version + 1,
            updated_at=func.now(),
        )
        .returning(*_COLUMNS)
    )
    assert row is not None
    return _document(row)


async def set_metadata(session: WriteSession, document: Document, metadata: Metadata) -> Document:
    """Give a document other metadata; its content stays."""
    row = await session.first(
        update(documents)
        .where(*_is(session, document.collection_id, document.id))
        .values(metadata=metadata, updated_at=func.now())
        .returning(*_COLUMNS)
    )
    if row is None:
        raise document_not_found()
    return _document(row)


async def chunk_digests(session: ReadSession, document_id: UUID) -> list[tuple[bytes, UUID]]:
    """SHA-256 of each chunk's text (UTF-8) with the chunk's id, in the order of the text."""
    chunks = document_chunks.c
    digest = func.sha256(func.convert_to(chunks.text, "UTF8")).label("digest")
    rows = await session.all(
        select(digest, chunks.id)
        .where(chunks.tenant_id == session.tenant_id, chunks.document_id == document_id)
        .order_by(chunks.start_offset, chunks.id)
    )
    return [(bytes(row["digest"]), row["id"]) for row in rows]


async def find_same(session: ReadSession, collection_id: UUID, name: str, content_sha256: bytes) -> Document | None:
    """The document of that name and content, if the collection has it."""
    return await _first(session, collection_id, documents.c.name == name, documents.c.content_sha256 == content_sha256)


async def find_named(session: ReadSession, collection_id: UUID, name: str) -> Document | None:
    """The newest document of that name, if the collection has one."""
    return await _first(session, collection_id, documents.c.name == name)


async def existing(session: ReadSession, collection_id: UUID, document_ids: Collection[UUID]) -> set[UUID]:
    """Those of the ids that are documents of the collection."""
    found = await session.execute(
        select(documents.c.id).where(
            documents.c.tenant_id == session.tenant_id,
            documents.c.collection_id == collection_id,
            documents.c.id.in_(document_ids),
        )
    )
    return set(found.scalars())


async def part(session: ReadSession, collection_id: UUID, document_id: UUID, start: int, end: int) -> str | None:
    """Characters `start` to `end` of a document's text; None when it is not there."""
    found = await session.scalar(
        select(func.substr(documents.c.text, start + 1, end - start)).where(*_is(session, collection_id, document_id))
    )
    return None if found is None else str(found)


async def page(session: ReadSession, collection_id: UUID, limit: int, after: UUID | None) -> list[Document]:
    """Up to `limit` documents of a collection, newest first, of those older than `after`."""
    statement = select(*_COLUMNS).where(
        documents.c.tenant_id == session.tenant_id, documents.c.collection_id == collection_id
    )
    if after is not None:
        statement = statement.where(documents.c.id < after)
    rows = await session.all(statement.order_by(documents.c.id.desc()).limit(limit))
    return [_document(row) for row in rows]


async def find(
    session: ReadSession, collection_id: UUID, document_id: UUID, with_text: bool = False
) -> Document | None:
    """The document, or None when the collection has none of that id."""
    columns = (*_COLUMNS, documents.c.text) if with_text else _COLUMNS
    row = await session.first(select(*columns).where(*_is(session, collection_id, document_id)))
    return None if row is None else _document(row)


async def remove(session: WriteSession, document: Document) -> None:
    """Delete a document with its chunks and words. Its collection must be locked (collections.count)."""
    shared = {"tenant_id": session.tenant_id, "collection_id": document.collection_id}
    chunks = document_chunks.c
    gone_ids = await session.execute(
        select(chunks.id).where(chunks.tenant_id == session.tenant_id, chunks.document_id == document.id)
    )
    await session.execute(_UNCOUNT_WORDS, {**shared, "chunk_ids": gone_ids.scalars().all()})
    await session.execute(_FORGET_WORDS, shared)
    await session.execute(delete(documents).where(*_is(session, document.collection_id, document.id)))


async def _add_chunks(
    session: WriteSession, document: NewDocument, document_id: UUID, chunks: Sequence[NewChunk]
) -> None:
    if not chunks:
        return
    shared = {"tenant_id": session.tenant_id, "collection_id": document.collection_id}
    rows = [
        {
            **shared,
            "text_search": document.text_search,
            "document_id": document_id,
            "id": uuid7(),
            "start_offset": chunk.start,
            "end_offset": chunk.end,
            "page": chunk.page,
            "text": chunk.text,
            "embedding": chunk.embedding,
        }
        for chunk in chunks
    ]
    await session.execute(insert(document_chunks), rows)
    await session.execute(_COUNT_WORDS, {**shared, "chunk_ids": [row["id"] for row in rows]})


async def _first(session: ReadSession, collection_id: UUID, *conditions: Any) -> Document | None:
    row = await session.first(
        select(*_COLUMNS)
        .where(documents.c.tenant_id == session.tenant_id, documents.c.collection_id == collection_id, *conditions)
        .order_by(documents.c.id.desc())
        .limit(1)
    )
    return None if row is None else _document(row)


def _content(document: NewDocument, chunk_count: int) -> dict[str, Any]:
    return {
        "content_type": document.content_type,
        "content_sha256": document.content_sha256,
        "text": document.text,
        "page_starts": document.page_starts,
        "chunk_count": chunk_count,
        "stored_bytes": document.stored_bytes,
        **({} if document.metadata is None else {"metadata": document.metadata}),
    }


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
        metadata=row["metadata"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        text=row.get("text"),
    )
