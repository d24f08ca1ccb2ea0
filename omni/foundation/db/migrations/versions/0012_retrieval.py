"""Retrieval: settings of collections, documents that are replaced, and their metadata.

Revision: 0012
Follows: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
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


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
