"""The invoice run of 1,000 tenants over 10 million events, and what one tenant's preview takes; with a tenth beside it.

Usage is written as the drain leaves it: rollups by the quarter of an hour, and no events, which an invoice of whole
quarters does not read.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from bench.services import running
from omni.apps.embedded.launch import free_port
from omni.apps.embedded.postgres import EmbeddedPostgres
from omni.apps.schema import whole_schema
from omni.apps.system import open_system_database
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import LegalEntity
from omni.domains.metering import facade as metering
from omni.domains.plans.seeds import seed
from omni.domains.pricing import facade as pricing
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.migrate import migrate
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database

TENANTS = 1_000
EVENTS = (1_000_000, 10_000_000)
QUARTERS = 500
"""Quarters of an hour in which a tenant used anything."""
START = datetime(2026, 10, 1, tzinfo=UTC)
END = datetime(2026, 11, 1, tzinfo=UTC)
AT_ONCE = 4
PREVIEWS = 200
RUN_BAR, PREVIEW_BAR = 60.0, 50.0

_FILL = text("""
    insert into usage_rollups
        (tenant_id, meter, mode, starts_at, project_id, key_id, endpoint, model, status, quantity, events)
    select t.tenant_id, m.meter, 'live', cast(:start as timestamptz) + (q * 5 + q % 3) * interval '15 minutes',
           t.tenant_id, t.tenant_id, 'POST /v1/chat/completions', 'gpt', 200, m.quantity * :each, :each
    from unnest(cast(:tenants as uuid[])) as t (tenant_id),
         (values ('requests', 1), ('input_tokens', 812), ('output_tokens', 97)) as m (meter, quantity),
         generate_series(0, :quarters - 1) as q
""")
SELLER = LegalEntity(
    "bench", "Bench Ltd", "", "", "", "SI", "BE", vat_id="SI12345679", registration="1", is_default=True
)


def run() -> list[dict[str, Any]]:
    rows = []
    for events in EVENTS:
        seconds, preview = _once(events)
        last = events == EVENTS[-1]
        size = f"{events // 1_000_000} M events"
        rows += [
            _bar(f"invoice run of {TENANTS} tenants, {size}", round(seconds, 2), "s", RUN_BAR if last else None)
            | {"plot": "run", "events": events},
            _bar(f"invoice preview p95, {size}", round(preview, 1), "ms", PREVIEW_BAR if last else None)
            | {"plot": "preview", "events": events},
        ]
    return rows


def _bar(name: str, value: float, unit: str, bar: float | None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "bar": bar, "met": bar is None or value <= bar}


def _once(events: int) -> tuple[float, float]:
    """Seconds of the run, milliseconds of a preview."""
    key = MasterKey(os.urandom(32))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(EmbeddedPostgres(folder / "postgres", free_port(), key), folder) as url:
            return asyncio.run(_measure(DatabaseAddress(url, key), events))


async def _measure(address: DatabaseAddress, events: int) -> tuple[float, float]:
    await migrate(address, whole_schema())
    database = Database(create_engine(address.url(Role.APP), "bench", PoolSettings(size=AT_ONCE)))
    system = open_system_database(address, "bench", PoolSettings(size=1))
    tenants = [uuid4() for _ in range(TENANTS)]
    async with database.shared() as session:
        await metering.seed_meters(session)
        await pricing.seed_prices(session)
        await seed(session, START)
        await billing.save_entity(session, SELLER)
    for tenant_id in tenants:
        await _open(database, tenant_id)
    async with system.session() as everyone:
        fill = {"tenants": tenants, "start": START, "quarters": QUARTERS, "each": events // TENANTS // QUARTERS}
        await everyone.execute(_FILL, fill)
    async with system.session() as everyone:
        await everyone.execute(text("analyze usage_rollups"))
    preview = await _preview(database, tenants)
    seconds = await _run_all(database, tenants)
    await database.close()
    await system.close()
    return seconds, preview


async def _open(database: Database, tenant_id: UUID) -> None:
    async with database.write(tenant_id) as session:
        row = {"id": tenant_id, "start": START}
        await session.execute(
            text("insert into tenants (tenant_id, name, plan_code, created_at) values (:id, 'Bench', 'free', :start)"),
            row,
        )
        await billing.bill_tenant(session, START + timedelta(seconds=1))


async def _preview(database: Database, tenants: list[UUID]) -> float:
    took = []
    for number in range(PREVIEWS):
        started = time.perf_counter()
        async with database.read(tenants[number * 7 % TENANTS]) as session:
            found = (await billing.upcoming_invoice(session, END - timedelta(seconds=1))).invoice
        took.append((time.perf_counter() - started) * 1000)
        if len(found.lines) != 3:
            raise RuntimeError(f"the preview has {len(found.lines)} lines")
    return sorted(took)[int(0.95 * PREVIEWS)]


async def _run_all(database: Database, tenants: list[UUID]) -> float:
    at = END + timedelta(hours=1)
    waiting = list(tenants)

    async def work() -> None:
        while waiting:
            async with database.write(waiting.pop()) as session:
                await billing.bill_tenant(session, at)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - started
    for tenant_id in tenants[:: TENANTS // 10]:
        async with database.read(tenant_id) as session:
            (invoice,) = [each for each in await billing.list_newest(session, None, 9) if each.number]
            if invoice.lines[-1].events == 0:
                raise RuntimeError("an invoice counts no events")
    return seconds
