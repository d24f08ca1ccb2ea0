"""The registry of tenants' models, and deployments of their versions.

Revision: 0015
Follows: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from omni.foundation.db.rls import isolate

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

GRANTS = {
    "registered_models": "select",
    "model_versions": "select",
    "model_aliases": "select",
    "deployments": "select",
    "deployment_versions": "select",
    "deployment_events": "select",
    "deployment_minutes": "select, delete",
    "deployment_feedback": "select, delete",
}
"""Table → what the system role may."""


def upgrade() -> None:
    op.execute("set local lock_timeout = '2s'")
    _create_models()
    _create_versions()
    _create_deployments()
    _create_deployment_parts()
    _create_deployment_counts()
    for table, system in GRANTS.items():
        for statement in isolate(table):
            op.execute(statement)
        op.execute(f"grant select, insert, update, delete on {table} to omni_app")
        op.execute(f"grant {system} on {table} to omni_system")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _tenant_id() -> sa.Column[object]:
    return sa.Column("tenant_id", sa.Uuid(), nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(), server_default="{}", nullable=False)


def _create_models() -> None:
    op.create_table(
        "registered_models",
        _tenant_id(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("task", sa.String(30), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("last_number", sa.Integer(), server_default="0", nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_registered_models")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_registered_models_name"),
    )


def _create_versions() -> None:
    op.create_table(
        "model_versions",
        _tenant_id(),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("format", sa.String(10), nullable=False),
        sa.Column("object_name", sa.String(200), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("signature", postgresql.JSONB(), nullable=False),
        _json("metrics"),
        _json("card"),
        _json("lineage"),
        _json("measured"),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(12), server_default="ready", nullable=False),
        sa.Column("deaths", sa.SmallInteger(), server_default="0", nullable=False),
        _created_at(),
        _moment("state_changed_at"),
        sa.CheckConstraint("format in ('onnx', 'automl')", name=op.f("ck_model_versions_format")),
        sa.CheckConstraint("state in ('ready', 'withdrawn')", name=op.f("ck_model_versions_state")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_model_versions_size")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id"],
            ["registered_models.tenant_id", "registered_models.id"],
            name="fk_model_versions_model",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", "number", name=op.f("pk_model_versions")),
        sa.UniqueConstraint("tenant_id", "model_id", "job_id", name="uq_model_versions_job"),
    )
    op.create_table(
        "model_aliases",
        _tenant_id(),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("alias", sa.String(50), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _moment("updated_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id", "number"],
            ["model_versions.tenant_id", "model_versions.model_id", "model_versions.number"],
            name="fk_model_aliases_version",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "model_id", "alias", name=op.f("pk_model_aliases")),
    )


def _of_deployment(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "deployment_id"],
        ["deployments.tenant_id", "deployments.id"],
        name=f"fk_{table}_deployment",
        ondelete="CASCADE",
    )


def _create_deployments() -> None:
    op.create_table(
        "deployments",
        _tenant_id(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("canary", postgresql.JSONB(), nullable=True),
        sa.Column("canary_state", sa.String(12), nullable=True),
        sa.Column("canary_step", sa.SmallInteger(), server_default="0", nullable=False),
        _json("step_counts"),
        sa.Column("shadow", postgresql.JSONB(), nullable=True),
        _created_at(),
        _moment("updated_at", nullable=False),
        sa.CheckConstraint(
            "canary_state in ('running', 'promoted', 'rolled_back')", name=op.f("ck_deployments_canary_state")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id"],
            ["registered_models.tenant_id", "registered_models.id"],
            name="fk_deployments_model",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_deployments")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_deployments_name"),
    )


def _create_deployment_parts() -> None:
    op.create_table(
        "deployment_versions",
        _tenant_id(),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.CheckConstraint("role in ('live', 'canary', 'shadow')", name=op.f("ck_deployment_versions_role")),
        _of_deployment("deployment_versions"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "model_id", "number"],
            ["model_versions.tenant_id", "model_versions.model_id", "model_versions.number"],
            name="fk_deployment_versions_version",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "deployment_id", "role", "number", name=op.f("pk_deployment_versions")),
    )
    op.create_table(
        "deployment_events",
        _tenant_id(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        _json("figures"),
        _created_at(),
        _of_deployment("deployment_events"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_deployment_events")),
    )
    op.create_index("ix_deployment_events_deployment", "deployment_events", ["tenant_id", "deployment_id", "id"])


def _create_deployment_counts() -> None:
    op.create_table(
        "deployment_minutes",
        _tenant_id(),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        _moment("minute", nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("latency", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("scores", sa.BigInteger(), nullable=False),
        sa.Column("score_sum", sa.Double(), nullable=False),
        sa.Column("score_squares", sa.Double(), nullable=False),
        sa.Column("disagreements", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        _of_deployment("deployment_minutes"),
        sa.PrimaryKeyConstraint(
            "tenant_id", "deployment_id", "number", "role", "minute", name=op.f("pk_deployment_minutes")
        ),
    )
    op.create_index("ix_deployment_minutes_minute", "deployment_minutes", ["minute"])
    op.create_table(
        "deployment_feedback",
        _tenant_id(),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        _created_at(),
        _of_deployment("deployment_feedback"),
        sa.PrimaryKeyConstraint("tenant_id", "deployment_id", "request_id", name=op.f("pk_deployment_feedback")),
    )
    op.create_index("ix_deployment_feedback_created_at", "deployment_feedback", ["created_at"])


def downgrade() -> None:
    raise RuntimeError("migrations go forward only; restore a backup to go back")
