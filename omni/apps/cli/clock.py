"""`omni clock`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from omni.apps.cli.control import TenantId, open_control
from omni.apps.cli.invoices import rows_of
from omni.apps.cli.output import JsonFlag, fail, print_rows, run_command
from omni.domains.billing import facade as billing

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Moment = Annotated[str, typer.Option(help="E.g. 2027-01-01 or 2027-01-01T12:00:00+01:00; UTC without a zone.")]


@app.callback()
def group() -> None:
    """Clocks of sandbox tenants: what their test keys use is billed by them."""


@app.command()
def start(tenant: TenantId, at: Moment) -> None:
    """Make a tenant without a subscription a sandbox whose clock stands at a moment."""

    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            await billing.start_clock(session, _moment(at))

    run_command(work)


@app.command()
def advance(tenant: TenantId, to: Moment, json: JsonFlag = False) -> None:
    """Move the clock: every period that ends on the way is invoiced when its time comes."""

    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            print_rows(rows_of(await billing.advance(session, _moment(to))), json)

    run_command(work)


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no moment: write it as 2027-01-01 or 2027-01-01T12:00:00+01:00.")
        raise
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
