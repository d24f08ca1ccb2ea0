"""`omni verify`."""

from __future__ import annotations

import sys
from dataclasses import asdict

import typer

from omni.apps.cli.output import JsonFlag, print_json, print_rows, run_command, running_settings
from omni.apps.database import database_address
from omni.apps.verification import Verification, verify_all

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def verify(json: JsonFlag = False) -> None:
    """Prove that usage events, rollups and invoice lines agree. Exit code 1 on any difference."""
    found: list[Verification] = []

    async def work() -> None:
        settings = running_settings()
        found.append(await verify_all(database_address(settings), settings.redis_address()))

    run_command(work)
    result = found[0]
    rows = [asdict(difference) for difference in result.differences]
    if json:
        print_json({"tenants": result.tenants, "waiting_events": result.waiting_events, "differences": rows})
    else:
        if rows:
            print_rows(rows, False)
        sys.stdout.write(
            f"{len(rows)} differences in {result.tenants} tenants; {result.waiting_events} events still on their way.\n"
        )
    sys.exit(1 if rows or result.waiting_events else 0)
