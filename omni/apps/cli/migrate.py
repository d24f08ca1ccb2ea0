"""`omni migrate`."""

from __future__ import annotations

import asyncio
import sys

import typer

from omni.apps.bootstrap import prepare_database
from omni.apps.cli.output import fail, running_settings
from omni.apps.database import database_address
from omni.apps.settings import SettingMissing
from omni.foundation.crypto.secrets import InvalidMasterKey
from omni.foundation.db.migrate import DatabaseUnfit

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def migrate() -> None:
    """Bring the database to this release's schema; on an empty one also make the first operator, tenant and keys."""
    try:
        made = asyncio.run(prepare_database(database_address(running_settings())))
    except (DatabaseUnfit, SettingMissing, InvalidMasterKey) as error:
        fail(str(error))
        return
    sys.stdout.write("The schema is up to date.\n")
    if made is not None:
        sys.stdout.write(
            f"Shown once: operator {made.operator_email} with password {made.operator_password}; "
            f"live key {made.live_key}; test key {made.test_key}\n"
        )
