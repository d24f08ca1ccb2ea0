"""The catalogue itself says that every tenant table is walled in, and a planted hole is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.resources import files

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from omni.foundation.db.roles import DatabaseAddress

CATALOG = files("omni.foundation.db").joinpath("rls_catalog.sql").read_text()

POLICY = (
    "create policy p on public.hole"
    "  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))"
    "  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))"
)

HOLES = {
    "no row-level security": "create table public.hole (tenant_id uuid primary key)",
    "not forced": (
        "create table public.hole (tenant_id uuid primary key); alter table public.hole enable row level security;"
        + POLICY
    ),
    "a policy that lets null in": (
        "create table public.hole (tenant_id uuid primary key); alter table public.hole enable row level security;"
        "alter table public.hole force row level security;"
        "create policy p on public.hole using (current_setting('app.tenant_id', true) is null)"
    ),
    "an index that does not lead": (
        "create table public.hole (id uuid primary key, tenant_id uuid not null);"
        "alter table public.hole enable row level security; alter table public.hole force row level security;" + POLICY
    ),
    "a view with its owner's rights": "create view public.hole as select * from public.tenants",
    "a role that bypasses": "alter role omni_app bypassrls",
    "a definer function": ("create function public.hole() returns int language sql security definer as 'select 1'"),
}


@pytest.fixture
async def admin(database_address: DatabaseAddress) -> AsyncIterator[AsyncConnection]:
    """A transaction as the administrator that is rolled back."""
    engine = create_async_engine(database_address.url(), poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


async def test_nothing_is_wrong(admin: AsyncConnection) -> None:
    assert (await admin.execute(text(CATALOG))).all() == []


@pytest.mark.parametrize("hole", HOLES)
async def test_a_planted_hole_is_seen(admin: AsyncConnection, hole: str) -> None:
    for statement in HOLES[hole].split(";"):
        await admin.execute(text(statement))
    assert (await admin.execute(text(CATALOG))).all()
