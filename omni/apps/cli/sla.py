"""`omni sla`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import httpx2
import orjson
import typer

from omni.apps.cli.control import TenantId, open_control
from omni.apps.cli.output import JsonFlag, fail, print_json, print_rows, run_command, running_settings
from omni.apps.settings import Settings
from omni.apps.status_page import status_page
from omni.domains.sla import facade as sla
from omni.domains.sla.contracts import Month
from omni.domains.sla.routes import to_api_month
from omni.domains.sla.service.status_page import TIMEOUT_SECONDS
from omni.kit.clock import SystemClock
from omni.kit.money import format_minor

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

MonthName = Annotated[str, typer.Option("--month", help="A month in the tenant's time zone, e.g. 2026-10.")]


@app.callback()
def group() -> None:
    """How available tenants' months were."""


@app.command("list")
def list_months(tenant: TenantId, json: JsonFlag = False) -> None:
    """The months of a tenant that were measured, newest first."""

    async def work() -> None:
        async with open_control() as control, control.database.read(tenant) as session:
            found = await sla.list_months(session)
        if json:
            print_json([to_api_month(month).model_dump(mode="json") for month in found])
        else:
            print_rows([_row(month) for month in found], False)

    run_command(work)


@app.command()
def show(tenant: TenantId, month: MonthName, json: JsonFlag = False) -> None:
    """One month with the quarters of an hour that fell short; the running one as far as it is known."""

    async def work() -> None:
        settings, day = _with_status_page(running_settings()), _first_day(month)
        async with open_control() as control, httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            page = status_page(settings, client)
            found = await sla.month_of(control.database, tenant, page, day, SystemClock().now())
        if json:
            print_json(to_api_month(found).model_dump(mode="json") | {"evidence": found.evidence})
            return
        print_rows([_row(found)], False)
        losses = (found.evidence or {})["losses"]
        if losses:
            print_rows(losses, False)

    run_command(work)


def _with_status_page(settings: Settings) -> Settings:
    """With the address that a running `omni up` has given the status page."""
    try:
        address = str(orjson.loads(settings.run_file.read_bytes())["status"])
    except FileNotFoundError:
        return settings
    return settings.model_copy(update={"status_url": address})


def _row(month: Month) -> dict[str, Any]:
    shown = to_api_month(month)
    return {
        "month": shown.month,
        "availability": None if shown.availability_percent is None else f"{shown.availability_percent} %",
        "plan": shown.plan_code,
        "outcome": shown.outcome or "running",
        "credit": format_minor(shown.credit_minor, shown.currency) if shown.currency else None,
        "invoice": shown.invoice_id,
    }


def _first_day(month: str) -> date:
    try:
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        fail(f"{month!r} is no month: write it as 2026-10.")
        raise
