"""Tables of retrieval. All belong to a tenant; vectors and words of a chunk live in its own row."""

from __future__ import annotations

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    FetchedValue,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

DIMENSIONS = 384
VECTOR_BYTES = 2 * DIMENSIONS  # half precision

collections = Table(
    "collections",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("name", String(200), nullable=False),
    Column("embedding_model", String(100), nullable=False),
    Column("chunking", JSONB, nullable=False, server_default="{}"),  # members that are missing have their defaults
    Column("language", String(50), nullable=False, server_default="english"),
    # Kept true by the transactions that add and remove documents; they lock this row first.
    Column("document_count", Integer, nullable=False, server_default="0"),
    Column("chunk_count", Integer, nullable=False, server_default="0"),
    Column("stored_bytes", BigInteger, nullable=False, server_default="0"),
    created_at_column(),
)

documents = Table(
    "documents",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("collection_id", Uuid, nullable=False),
    Column("name", String(255), nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("content_sha256", LargeBinary, nullable=False),
    Column("text", Text, nullable=False),
    Column("page_starts", ARRAY(Integer)),
    Column("chunk_count", Integer, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    # How often the content was replaced: who prepared a change of what is no longer there begins again.
    Column("version", Integer, nullable=False, server_default="1"),
    created_at_column(),
    moment_column("updated_at"),
    ForeignKeyConstraint(
        ["tenant_id", "collection_id"], ["collections.tenant_id", "collections.id"], ondelete="CASCADE"
    ),
    UniqueConstraint("tenant_id", "collection_id", "name", "content_sha256"),
)

document_chunks = Table(
    "document_chunks",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("collection_id", Uuid, nullable=False),
    Column("document_id", Uuid, nullable=False),
    Column("start_offset", Integer, nullable=False),
    Column("end_offset", Integer, nullable=False),
    Column("page", Integer),
    Column("text", Text, nullable=False),
    Column("embedding", HALFVEC(DIMENSIONS), nullable=False),
    # PostgreSQL's text search configuration: how words are stemmed and which are too common to count.
    Column("text_search", String(50), nullable=False, server_default="english"),
    # Set by a trigger, which knows the row's own configuration; a generated column could have one for all only.
    Column("words", TSVECTOR, nullable=False, server_default=FetchedValue()),
    ForeignKeyConstraint(["tenant_id", "document_id"], ["documents.tenant_id", "documents.id"], ondelete="CASCADE"),
    Index("ix_document_chunks_tenant_collection", "tenant_id", "collection_id"),
    Index("ix_document_chunks_tenant_document", "tenant_id", "document_id"),
    Index(
        "ix_document_chunks_embedding",
        "embedding",
        postgresql_using="hnsw",
        postgresql_ops={"embedding": "halfvec_cosine_ops"},
        postgresql_with={"m": 16, "ef_construction": 64},
    ),
    Index("ix_document_chunks_words", "words", postgresql_using="gin"),
    # Whole rows stay in their page: ranking reads thousands of `words`, and each would be fetched and decompressed.
    postgresql_with={"toast_tuple_target": 8160},
)

vector_changes = Table(
    "vector_changes",
    metadata,
    tenant_id_column(),
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("vectors", BigInteger, nullable=False),
    Index("ix_vector_changes_tenant_id_changed_at", "tenant_id", "changed_at"),
    info={"app_grants": "select, insert", "system_grants": "select, insert, delete"},
)
"""When a tenant's number of vectors changed, and by how many. Written by a trigger on `collections`, so no change is
missed; hours that are metered are folded into one row.
"""

collection_words = Table(
    "collection_words",
    metadata,
    tenant_id_column(),
    Column("collection_id", Uuid, primary_key=True),
    Column("word", Text, primary_key=True),
    Column("chunk_count", Integer, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "collection_id"], ["collections.tenant_id", "collections.id"], ondelete="CASCADE"
    ),
)
"""In how many chunks of a collection a word is: search begins with the rare ones."""
