"""`omni billing`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from omni.apps.cli.output import JsonFlag, fail, print_json, print_rows, run_command, running_settings
from omni.apps.database import pool_settings
from omni.apps.payments import payment_providers
from omni.apps.verification import Reconciled
from omni.apps.verification import reconcile as reconcile_all
from omni.apps.worker.services import open_services
from omni.domains.payments.facade import StoredDeposits
from omni.kit.clock import SystemClock, next_month

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


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        fail(f"{text!r} is no month: write it as 2026-11.")
        raise
