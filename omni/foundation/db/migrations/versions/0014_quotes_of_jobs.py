"""What jobs may cost, and who is told of their end.

Revision: 0014
Follows: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    op.add_column("jobs", sa.Column("quote", postgresql.JSONB(), nullable=True))
    op.add_column("jobs", sa.Column("webhook_url", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("webhook_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("webhook_tries", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_jobs_webhook_due_at", "jobs", ["webhook_due_at"], postgresql_where=sa.text("webhook_due_at is not null")
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
