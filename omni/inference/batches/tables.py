"""The table of batches' answers."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Integer, SmallInteger, Table, Text, Uuid

from omni.foundation.db.base import metadata, tenant_id_column

batch_answers = Table(
    "batch_answers",
    metadata,
    tenant_id_column(),
    Column("job_id", Uuid, primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    # How often the gateway has answered with something to be tried again: each try has a request id of its own.
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("status", SmallInteger),
    Column("answer", Text),
    ForeignKeyConstraint(["tenant_id", "job_id"], ["jobs.tenant_id", "jobs.id"], name="fk_batch_answers_job"),
    info={"app_grants": "select, insert, update", "system_grants": "select, delete"},
)
