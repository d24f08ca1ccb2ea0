"""`omni keys`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from omni.apps.cli.control import TenantId, open_control
from omni.apps.cli.output import JsonFlag, print_rows, run_command
from omni.domains.keys import facade as keys
from omni.domains.keys.contracts import Key, NewKey
from omni.domains.tenants import facade as tenants
from omni.kit.clock import SystemClock

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


class KeyMode(StrEnum):
    LIVE = "live"
    TEST = "test"


@app.command("list")
def list_keys(tenant: TenantId, json: JsonFlag = False) -> None:
    """A tenant's keys, newest first."""

    async def work() -> None:
        found: list[Key] = []
        async with open_control() as control, control.database.read(tenant) as session:
            page, after = await keys.list_keys(session)
            found += page
            while after is not None:
                page, after = await keys.list_keys(session, after)
                found += page
        print_rows([_row(key) for key in found], json)

    run_command(work)


@app.command()
def create(
    tenant: TenantId,
    name: Annotated[str, typer.Option(help="What it is for.")] = "Made on the command line",
    mode: Annotated[KeyMode, typer.Option(help="Usage of test keys is not billed.")] = KeyMode.LIVE,
    json: JsonFlag = False,
) -> None:
    """Make a key for the tenant's first project; the key is shown this once."""

    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            project = (await tenants.list_projects(session))[0]
            made = await keys.create_key(session, NewKey(project.project_id, name, mode.value), SystemClock().now())
        print_rows([{**_row(made.key), "key": made.secret}], json)

    run_command(work)


@app.command()
def revoke(tenant: TenantId, key: Annotated[UUID, typer.Argument(help="The key's id.")]) -> None:
    """End a key for good; gateways follow within a second."""

    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            print_rows([_row(await keys.revoke_key(session, key, SystemClock().now()))], False)

    run_command(work)


def _row(key: Key) -> dict[str, object]:
    works = key.works(SystemClock().now())
    return {
        "id": key.key_id,
        "name": key.name,
        "mode": key.mode,
        "shown_as": f"{key.prefix}…{key.last4}",
        "works": "yes" if works else "no",
        "last_used": key.last_used_at,
    }
