"""`omni plans`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from omni.apps.cli.control import open_control
from omni.apps.cli.output import JsonFlag, print_rows, run_command
from omni.domains.plans import facade as plans

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def group() -> None:
    """Plans and their limits."""


@app.command("list")
def list_plans(json: JsonFlag = False) -> None:
    """All plans; an empty limit is none."""

    async def work() -> None:
        async with open_control() as control, control.database.shared() as session:
            found = await plans.list_plans(session)
        rows = [{**asdict(plan.limits), "name": plan.name, "public": plan.public} for plan in found]
        for row in rows:
            row["models"] = "all" if row["models"] is None else sorted(row["models"])
        print_rows(rows, json)

    run_command(work)
