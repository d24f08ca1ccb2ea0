"""Datasets: tables that tenants bring; their rows are in the object store.

Revision: 0016
Follows: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    op.create_table(
        "datasets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("source_file_id", sa.Uuid(), nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("format", sa.String(10), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("columns", postgresql.JSONB(), nullable=False),
        sa.Column("profile", postgresql.JSONB(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_datasets_size")),
        sa.CheckConstraint("row_count > 0", name=op.f("ck_datasets_row_count")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_datasets")),
    )
    for statement in isolate("datasets"):
        op.execute(statement)
    op.execute("grant select, insert, delete on datasets to omni_app")
    op.execute("grant select on datasets to omni_system")


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
