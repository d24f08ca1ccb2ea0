"""Tables of the registry; the artifacts are in the object store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column, tenant_id_column

GRANTS = {"app_grants": "select, insert, update, delete", "system_grants": "select"}

registered_models = Table(
    "registered_models",
    metadata,
    tenant_id_column(),
    id_column(),
    Column("name", String(100), nullable=False),
    Column("task", String(30), nullable=False, server_default=""),
    Column("description", Text, nullable=False, server_default=""),
    # Numbers are never given twice, also when versions are deleted.
    Column("last_number", Integer, nullable=False, server_default="0"),
    created_at_column(),
    UniqueConstraint("tenant_id", "name", name="uq_registered_models_name"),
    info=GRANTS,
)

model_versions = Table(
    "model_versions",
    metadata,
    tenant_id_column(),
    Column("model_id", Uuid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("format", String(10), nullable=False),
    Column("object_name", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("signature", JSONB, nullable=False),
    Column("metrics", JSONB, nullable=False, server_default="{}"),
    Column("card", JSONB, nullable=False, server_default="{}"),
    Column("lineage", JSONB, nullable=False, server_default="{}"),
    # What we found out ourselves when it was admitted.
    Column("measured", JSONB, nullable=False, server_default="{}"),
    Column("job_id", Uuid),
    Column("state", String(12), nullable=False, server_default="ready"),
    # How often in a row it ended its process.
    Column("deaths", SmallInteger, nullable=False, server_default="0"),
    created_at_column(),
    moment_column("state_changed_at"),
    UniqueConstraint("tenant_id", "model_id", "job_id", name="uq_model_versions_job"),
    ForeignKeyConstraint(
        ["tenant_id", "model_id"],
        ["registered_models.tenant_id", "registered_models.id"],
        name="fk_model_versions_model",
    ),
    CheckConstraint("format in ('onnx', 'automl')", name="format"),
    CheckConstraint("state in ('ready', 'withdrawn')", name="state"),
    CheckConstraint("size_bytes >= 0", name="size"),
    info=GRANTS,
)

model_aliases = Table(
    "model_aliases",
    metadata,
    tenant_id_column(),
    Column("model_id", Uuid, primary_key=True),
    Column("alias", String(50), primary_key=True),
    Column("number", Integer, nullable=False),
    moment_column("updated_at", nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "model_id", "number"],
        ["model_versions.tenant_id", "model_versions.model_id", "model_versions.number"],
        name="fk_model_aliases_version",
    ),
    info=GRANTS,
)
