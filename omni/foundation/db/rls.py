"""Row-level security and grants, generated from the metadata so that no table is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import MetaData, Table

from omni.foundation.db.roles import Role

TENANT_COLUMN = "tenant_id"
POLICY = "tenant_isolation"
CURRENT_TENANT = "(select nullif(current_setting('app.tenant_id', true), '')::uuid)"
"""A scalar sub-select is evaluated once a statement, not once a row. A local setting leaves '' behind, which must not
match anything."""


def is_tenant_table(table: Table) -> bool:
    return TENANT_COLUMN in table.columns


def isolate(table_name: str) -> Iterator[str]:
    """Statements that put one tenant table behind forced row-level security."""
    condition = f"{TENANT_COLUMN} = {CURRENT_TENANT}"
    yield f"alter table {table_name} enable row level security"
    yield f"alter table {table_name} force row level security"
    yield f"create policy {POLICY} on {table_name} using ({condition}) with check ({condition})"


def grants(table: Table) -> Iterator[str]:
    """What the two working roles may do with a table; its `info` may narrow it (`app_grants`, `system_grants`)."""
    everything = "select, insert, update, delete"
    for role, key in ((Role.APP, "app_grants"), (Role.SYSTEM, "system_grants")):
        allowed = table.info.get(key, everything)
        if allowed:
            yield f"grant {allowed} on {table.name} to {role}"


def secure(metadata: MetaData, table_names: list[str]) -> Iterator[str]:
    """All statements for tables that a migration has just created."""
    for name in table_names:
        table = metadata.tables[name]
        if is_tenant_table(table):
            yield from isolate(name)
        yield from grants(table)
