"""Retrieval: settings of collections, documents that are replaced, their metadata, and how long vectors are stored.

Revision: 0013
Follows: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


CHUNK_WORDS = """
    create function chunk_words() returns trigger language plpgsql as $$
    begin
        new.words := to_tsvector(new.text_search::regconfig, new.text);
        return new;
    end
    $$
"""


LOG_VECTORS = """
    create function log_vectors() returns trigger language plpgsql as $$
    declare
        change bigint := case tg_op when 'DELETE' then -old.chunk_count when 'INSERT' then new.chunk_count
                                    else new.chunk_count - old.chunk_count end;
    begin
        if change <> 0 then
            insert into vector_changes (tenant_id, changed_at, vectors)
            values (coalesce(new.tenant_id, old.tenant_id), clock_timestamp(), change);
        end if;
        return null;
    end
    $$
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    op.add_column(
        "collections", sa.Column("chunking", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False)
    )
    op.add_column("collections", sa.Column("language", sa.String(50), server_default="english", nullable=False))
    op.add_column(
        "documents", sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False)
    )
    op.add_column("documents", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("documents", sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True))
    _give_chunks_a_language()
    _log_vectors()


def _give_chunks_a_language() -> None:
    """Words that were generated stay as they are, and no row is written anew. The release before names neither column:
    the default and the trigger fill them as before."""
    op.add_column("document_chunks", sa.Column("text_search", sa.String(50), server_default="english", nullable=False))
    op.execute("alter table document_chunks alter column words drop expression")
    op.execute(CHUNK_WORDS)
    op.execute(
        "create trigger chunk_words before insert or update of text, text_search on document_chunks "
        "for each row execute function chunk_words()"
    )


def _log_vectors() -> None:
    op.create_table(
        "vector_changes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("vectors", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_vector_changes")),
    )
    op.create_index("ix_vector_changes_tenant_id_changed_at", "vector_changes", ["tenant_id", "changed_at"])
    op.execute(LOG_VECTORS)
    op.execute(
        "create trigger log_vectors after insert or delete or update of chunk_count on collections "
        "for each row execute function log_vectors()"
    )
    # What is there counts from now on. The owner is held by row-level security, too, where it is forced.
    op.execute("alter table collections no force row level security")
    op.execute(
        "insert into vector_changes (tenant_id, changed_at, vectors) select tenant_id, clock_timestamp(), "
        "sum(chunk_count) from collections group by tenant_id having sum(chunk_count) > 0"
    )
    op.execute("alter table collections force row level security")
    for statement in isolate("vector_changes"):
        op.execute(statement)
    op.execute("grant select, insert on vector_changes to omni_app")
    op.execute("grant select, insert, delete on vector_changes to omni_system")


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
