"""Row-level security: what makes a table a tenant table, and the statements that wall it in."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Table

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
