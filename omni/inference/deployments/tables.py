"""Tables of deployments."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

GRANTS = {"app_grants": "select, insert, update, delete", "system_grants": "select"}
OLD_GRANTS = {"app_grants": "select, insert, update, delete", "system_grants": "select, delete"}


def _deployment_key(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "deployment_id"],
        ["deployments.tenant_id", "deployments.id"],
        name=f"fk_{table}_deployment",
        ondelete="CASCADE",
    )


deployments = Table(
    "deployments",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("name", String(100), nullable=False),
    Column("model_id", Uuid, nullable=False),
    # Counts the changes of who answers whom: what was counted under another says nothing about this one.
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("canary", JSONB),
    Column("canary_state", String(12)),
    Column("canary_step", SmallInteger, nullable=False, server_default="0"),
    # Of the canary and of the others, since the step began.
    Column("step_counts", JSONB, nullable=False, server_default="{}"),
    Column("shadow", JSONB),
    created_at_column(),
    moment_column("updated_at", nullable=False),
    UniqueConstraint("tenant_id", "name", name="uq_deployments_name"),
    ForeignKeyConstraint(
        ["tenant_id", "model_id"], ["registered_models.tenant_id", "registered_models.id"], name="fk_deployments_model"
    ),
    CheckConstraint("canary_state in ('running', 'promoted', 'rolled_back')", name="canary_state"),
    info=GRANTS,
)

deployment_versions = Table(
    "deployment_versions",
    metadata,
    tenant_id_column(),
    Column("deployment_id", Uuid, primary_key=True),
    Column("role", String(10), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("model_id", Uuid, nullable=False),
    Column("weight", Integer, nullable=False),
    _deployment_key("deployment_versions"),
    ForeignKeyConstraint(
        ["tenant_id", "model_id", "number"],
        ["model_versions.tenant_id", "model_versions.model_id", "model_versions.number"],
        name="fk_deployment_versions_version",
    ),
    CheckConstraint("role in ('live', 'canary', 'shadow')", name="role"),
    info=GRANTS,
)

deployment_events = Table(
    "deployment_events",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("deployment_id", Uuid, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("version", Integer),
    Column("reason", Text, nullable=False),
    Column("figures", JSONB, nullable=False, server_default="{}"),
    created_at_column(),
    _deployment_key("deployment_events"),
    Index("ix_deployment_events_deployment", "tenant_id", "deployment_id", "id"),
    info=GRANTS,
)

deployment_minutes = Table(
    "deployment_minutes",
    metadata,
    tenant_id_column(),
    Column("deployment_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("role", String(10), primary_key=True),
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    # Requests by latency, in the buckets of rules.py.
    Column("latency", ARRAY(BigInteger), nullable=False),
    Column("scores", BigInteger, nullable=False),
    Column("score_sum", Double, nullable=False),
    Column("score_squares", Double, nullable=False),
    # Of a shadow: answers that differed, and requests that it was not asked for lack of room.
    Column("disagreements", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    _deployment_key("deployment_minutes"),
    Index("ix_deployment_minutes_minute", "minute"),
    info=OLD_GRANTS,
)

deployment_feedback = Table(
    "deployment_feedback",
    metadata,
    tenant_id_column(),
    Column("deployment_id", Uuid, primary_key=True),
    Column("request_id", Uuid, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("score", Double, nullable=False),
    Column("outcome", Text),
    created_at_column(),
    _deployment_key("deployment_feedback"),
    Index("ix_deployment_feedback_created_at", "created_at"),
    info=OLD_GRANTS,
)
