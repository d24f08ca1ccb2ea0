"""The one metadata that every table is declared on, and the columns that many share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, DateTime, MetaData, Uuid, func

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def tenant_id_column() -> Column[Any]:
    """The column that row-level security works on; its presence makes a table a tenant table."""
    return Column("tenant_id", Uuid, primary_key=True, nullable=False)


def id_column() -> Column[Any]:
    """A UUIDv7 primary key, minted by the application (omni.kit.ids.uuid7)."""
    return Column("id", Uuid, primary_key=True, nullable=False)


def created_at_column() -> Column[Any]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def moment_column(name: str, *, nullable: bool = True) -> Column[Any]:
    """An instant with its zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable)
