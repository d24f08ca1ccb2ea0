"""Users and their sessions. They belong to the platform, not to a tenant."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, LargeBinary, String, Table, Uuid, false

from omni.foundation.db.base import created_at_column, id_column, metadata, moment_column

users = Table(
    "users",
    metadata,
    id_column(),
    Column("email", String(254), nullable=False, unique=True),
    Column("password_hash", String(255), nullable=False),
    Column("is_operator", Boolean, nullable=False, server_default=false()),
    moment_column("email_verified_at"),
    created_at_column(),
    moment_column("updated_at", nullable=False),
    info={"app_grants": "select, insert, update"},
)

email_verifications = Table(
    "email_verifications",
    metadata,
    id_column(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    created_at_column(),
    moment_column("expires_at", nullable=False),
    moment_column("used_at"),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_agent", String(200), nullable=False),
    created_at_column(),
    moment_column("last_seen_at", nullable=False),
    moment_column("expires_at", nullable=False),
    moment_column("revoked_at"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("email_sha256", LargeBinary, primary_key=True),
    Column("attempts", Integer, nullable=False),
    moment_column("last_at", nullable=False),
    moment_column("locked_until"),
)
