"""Tables of jobs."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

RUNNABLE = text("state in ('queued', 'running')")

jobs = Table(
    "jobs",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("project_id", Uuid, nullable=False),
    Column("key_id", Uuid),
    # For whom the job calls the gateway: the key's SHA-256, as its snapshot is found.
    Column("key_digest", String(64), nullable=False),
    Column("storage_bytes_limit", BigInteger),
    # What the client called its request, so that one that is sent again makes no second job.
    Column("idempotency_key", String(255)),
    Column("kind", String(30), nullable=False),
    Column("state", String(12), nullable=False, server_default="queued"),
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    Column("input", JSONB, nullable=False),
    Column("progress", JSONB, nullable=False, server_default="{}"),
    Column("result", JSONB),
    Column("error", JSONB),
    # What it may use at which prices; of jobs that compute.
    Column("quote", JSONB),
    # Who is told when it has ended.
    Column("webhook_url", Text),
    # When that is to be tried next; null = not to be tried.
    moment_column("webhook_due_at"),
    Column("webhook_tries", SmallInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    created_at_column(),
    moment_column("expires_at", nullable=False),
    moment_column("started_at"),
    moment_column("cancel_requested_at"),
    moment_column("ended_at"),
    # Who works on it has it until then; after that anybody may go on.
    moment_column("leased_until"),
    UniqueConstraint("tenant_id", "idempotency_key", name="uq_jobs_idempotency_key"),
    CheckConstraint("state in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired')", name="state"),
    CheckConstraint("(ended_at is null) = (state in ('queued', 'running'))", name="ended"),
    Index("ix_jobs_runnable", text("priority desc"), "created_at", postgresql_where=RUNNABLE),
    Index("ix_jobs_webhook_due_at", "webhook_due_at", postgresql_where=text("webhook_due_at is not null")),
    info={"app_grants": "select, insert, update", "system_grants": "select, update"},
)

job_log = Table(
    "job_log",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("job_id", Uuid, nullable=False),
    Column("level", String(10), nullable=False),
    Column("message", Text, nullable=False),
    created_at_column(),
    ForeignKeyConstraint(["tenant_id", "job_id"], ["jobs.tenant_id", "jobs.id"], name="fk_job_log_job"),
    CheckConstraint("level in ('info', 'warning', 'error')", name="level"),
    Index("ix_job_log_job", "tenant_id", "job_id", "id"),
    info={"app_grants": "select, insert", "system_grants": "select"},
)
