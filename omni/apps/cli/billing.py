"""`omni billing`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Any
from uuid import UUID

import typer

from omni.apps.cli.output import JsonFlag, fail, print_json, print_rows, run_command, running_settings
from omni.apps.database import database_address, pool_settings
from omni.apps.payments import payment_providers
from omni.apps.verification import BillingVerification, Reconciled, verify_billing
from omni.apps.verification import reconcile as reconcile_all
from omni.apps.worker.services import open_services
from omni.domains.billing.contracts import Counted
from omni.domains.metering import facade as metering
from omni.domains.payments.facade import StoredDeposits
from omni.kit.clock import SystemClock, next_month
from omni.kit.money import NANO_DIGITS, format_minor

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Whether the money is right."""


@app.command()
def reconcile(period: Annotated[str, typer.Option(help="A month, e.g. 2026-11.")], json: JsonFlag = False) -> None:
    """Compare usage, invoices, books, payments and what payment providers have. Exit code 1 on any cent."""
    found: list[Reconciled] = []

    async def work() -> None:
        settings, start = running_settings(), _month(period)
        async with open_services(settings, "reconcile", pool_settings(settings)) as services:
            deposits = StoredDeposits(services.database, services.system.session)
            providers = payment_providers(settings, services.http, deposits, SystemClock())
            found.append(await reconcile_all(services, providers, (start, next_month(start))))

    run_command(work)
    (result,) = found
    differences = [asdict(each) for each in result.differences]
    mismatches = [asdict(each) for each in result.mismatches]
    if json:
        print_json({"tenants": result.tenants, "differences": differences, "mismatches": mismatches})
    else:
        for rows in (differences, mismatches):
            if rows:
                print_rows(rows, False)
        sys.stdout.write(
            f"{len(differences)} differences in {result.tenants} tenants, {len(mismatches)} at payment providers.\n"
        )
    sys.exit(1 if differences or mismatches else 0)


TenantFilter = Annotated[UUID | None, typer.Option("--tenant", help="Only this tenant, by its id.")]


@app.command()
def verify(tenant: TenantFilter = None, json: JsonFlag = False) -> None:
    """Prove that every live event is billed once: raw events = rollups = invoice lines = books. Exit code 1 if not."""
    found: list[BillingVerification] = []

    async def work() -> None:
        settings = running_settings()
        found.append(await verify_billing(database_address(settings), settings.redis_address(), tenant))

    run_command(work)
    (result,) = found
    if json:
        print_json(_to_json(result))
    else:
        _print_verification(result)
    sys.exit(0 if result.agrees else 1)


_RECORDS = ("events", "rollups", "invoices", "upcoming")


def _to_json(result: BillingVerification) -> dict[str, Any]:
    meters = [
        {"tenant_id": tenant_id, "meter": each.meter, "state": each.state}
        | {name: _counted(getattr(each, name)) for name in _RECORDS}
        for tenant_id, account in result.accounts
        for each in account.meters
    ]
    books = [
        {"tenant_id": tenant_id, **asdict(each)} for tenant_id, account in result.accounts for each in account.books
    ]
    return {
        "tenants": len(result.accounts),
        "waiting_events": result.waiting_events,
        "unique_events": result.unique_events,
        "billed_events": result.billed_events,
        "meters": meters,
        "books": books,
        "differences": [asdict(each) for each in result.differences],
    }


def _counted(counted: Counted) -> dict[str, Any]:
    quantity = None if counted.quantity is None else metering.to_json(counted.quantity)
    return {"events": counted.events, "quantity": quantity}


def _print_verification(result: BillingVerification) -> None:
    told = _to_json(result)
    for row in told["meters"]:
        row |= {name: _counted_text(row[name]) for name in _RECORDS}
    for row in told["books"]:
        booked = metering.to_json(Fraction(row.pop("booked_nanos"), 10**NANO_DIGITS))
        row["net"] = format_minor(row.pop("net_minor"), row["currency"])
        row["booked"] = f"{booked} {row['currency']}"
    for rows in (told["meters"], told["books"], told["differences"]):
        if rows:
            print_rows(rows, False)
    billed, unique = f"{result.billed_events:,}", f"{result.unique_events:,}"
    if result.agrees:
        sys.stdout.write(f"billed == unique: {unique} events, difference 0\n")
        return
    sys.stdout.write(
        f"billed != unique: {billed} of {unique} events, difference {result.billed_events - result.unique_events:,}; "
        f"{len(result.differences)} differences in all, {result.waiting_events} events still on their way\n"
    )


def _counted_text(counted: dict[str, Any]) -> str:
    """Empty where nothing is counted."""
    if not counted["events"] and not counted["quantity"]:
        return ""
    of = "" if counted["quantity"] is None else f": {counted['quantity']}"
    return f"{counted['events']:,} events{of}"


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        fail(f"{text!r} is no month: write it as 2026-11.")
        raise
