"""`omni invoices`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from omni.apps.cli.control import TenantId, open_control
from omni.apps.cli.output import JsonFlag, print_json, print_rows, run_command
from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import Invoice
from omni.domains.billing.documents.rendering import render_pdf
from omni.domains.billing.routes.shown import to_api_upcoming
from omni.domains.billing.schemas import LineOut
from omni.kit.clock import SystemClock
from omni.kit.money import format_minor

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

InvoiceId = Annotated[UUID, typer.Option("--invoice", help="The invoice's id; `omni invoices list` shows them.")]


def rows_of(invoices: Sequence[Invoice]) -> list[dict[str, Any]]:
    """Invoices as they are listed."""
    return [
        {
            "number": invoice.number,
            "kind": invoice.kind,
            "status": invoice.status,
            "period_start": invoice.period_start,
            "period_end": invoice.period_end,
            "total": format_minor(invoice.gross_minor, invoice.currency),
            "due": format_minor(invoice.due_minor, invoice.currency),
            "id": invoice.invoice_id,
        }
        for invoice in invoices
    ]


def _line_row(line: LineOut, currency: str) -> dict[str, Any]:
    return {
        "name": line.name,
        "meter": line.meter,
        "for": ", ".join(line.dimensions.values()),
        "quantity": f"{line.quantity.normalize():f}",
        "events": line.events,
        "net": format_minor(line.net_minor, currency),
    }


@app.callback()
def group() -> None:
    """What tenants owe."""


@app.command()
def upcoming(tenant: TenantId, json: JsonFlag = False) -> None:
    """The running period's invoice if it ended now."""

    async def work() -> None:
        async with open_control() as control, control.database.read(tenant) as session:
            found = await billing.upcoming_invoice(session, SystemClock().now())
        shown = to_api_upcoming(found)
        if json:
            print_json(shown.model_dump(mode="json"))
            return
        print_rows([_line_row(line, shown.currency) for line in shown.lines], False)
        sys.stdout.write(f"Total {shown.total}\n")

    run_command(work)


@app.command("list")
def list_invoices(tenant: TenantId, json: JsonFlag = False) -> None:
    """The newest 200 invoices and credit notes of a tenant."""

    async def work() -> None:
        async with open_control() as control, control.database.read(tenant) as session:
            print_rows(rows_of(await billing.list_newest(session, None, 200)), json)

    run_command(work)


@app.command()
def finalise(tenant: TenantId, invoice: InvoiceId, json: JsonFlag = False) -> None:
    """Make a draft final before its time."""

    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            print_rows(rows_of([await billing.finalise(session, invoice, SystemClock().now())]), json)

    run_command(work)


@app.command()
def pdf(tenant: TenantId, invoice: InvoiceId, file: Annotated[Path, typer.Option(help="Where to write it.")]) -> None:
    """Write the document of a final invoice: PDF/A-3 with Factur-X inside."""

    async def work() -> None:
        async with open_control() as control, control.database.read(tenant) as session:
            document = await billing.load_document(session, invoice)
        file.write_bytes(render_pdf(document))

    run_command(work)
