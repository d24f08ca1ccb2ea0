"""Files, jobs of any kind with their logs, and the answers of batches.

Revision: 0012
Follows: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

GRANTS = {
    "files": ("select, insert, update, delete", "select"),
    "jobs": ("select, insert, update", "select, update"),
    "job_log": ("select, insert", "select"),
    "batch_answers": ("select, insert, update", "select, delete"),
}
STATES = "state in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired')"


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_files()
    _create_jobs()
    _create_job_parts()
    for table, (app, system) in GRANTS.items():
        for statement in isolate(table):
            op.execute(statement)
        op.execute(f"grant {app} on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _create_files() -> None:
    op.create_table(
        "files",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(30), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        _created_at(),
        _moment("expires_at"),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_files_size")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_files")),
    )
    op.create_index("ix_files_expires_at", "files", ["expires_at"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("storage_bytes_limit", sa.BigInteger(), nullable=True),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("state", sa.String(12), server_default="queued", nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("input", postgresql.JSONB(), nullable=False),
        sa.Column("progress", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("error", postgresql.JSONB(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        _created_at(),
        _moment("expires_at", nullable=False),
        _moment("started_at"),
        _moment("cancel_requested_at"),
        _moment("ended_at"),
        _moment("leased_until"),
        sa.CheckConstraint(STATES, name=op.f("ck_jobs_state")),
        sa.CheckConstraint("(ended_at is null) = (state in ('queued', 'running'))", name=op.f("ck_jobs_ended")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("tenant_id", "idempotency_key", name="uq_jobs_idempotency_key"),
    )
    op.create_index(
        "ix_jobs_runnable", "jobs", [sa.text("priority desc"), "created_at"],
        postgresql_where=sa.text("state in ('queued', 'running')"),
    )  # fmt: skip


def _create_job_parts() -> None:
    op.create_table(
        "job_log",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        _created_at(),
        sa.CheckConstraint("level in ('info', 'warning', 'error')", name=op.f("ck_job_log_level")),
        sa.ForeignKeyConstraint(["tenant_id", "job_id"], ["jobs.tenant_id", "jobs.id"], name="fk_job_log_job"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_job_log")),
    )
    op.create_index("ix_job_log_job", "job_log", ["tenant_id", "job_id", "id"])
    op.create_table(
        "batch_answers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id", "job_id"], ["jobs.tenant_id", "jobs.id"], name="fk_batch_answers_job"),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", "line", name=op.f("pk_batch_answers")),
    )


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
