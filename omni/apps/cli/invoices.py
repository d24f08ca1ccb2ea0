"""`omni invoices`."""

from __future__ import annotations

import sys
from dataclasses import asdict

import typer

from omni.apps.cli.control import TenantId, open_control
from omni.apps.cli.output import JsonFlag, print_json, print_rows, run_command
from omni.domains.billing import facade as billing
from omni.kit.clock import SystemClock
from omni.kit.money import format_minor

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """What tenants owe."""


@app.command()
def draft(tenant: TenantId, json: JsonFlag = False) -> None:
    """This month's invoice as far as it is known now."""

    async def work() -> None:
        async with open_control() as control, control.database.read(tenant) as session:
            invoice = await billing.draft_invoice(session, SystemClock().now())
        if json:
            print_json({**asdict(invoice), "total_minor": invoice.total_minor})
            return
        print_rows([asdict(line) for line in invoice.lines], False)
        sys.stdout.write(f"Total {format_minor(invoice.total_minor, invoice.currency)}\n")

    run_command(work)
