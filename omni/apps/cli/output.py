"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from omni.apps.settings import SettingMissing, Settings
from omni.kit.errors import OmniError

WIDTH_IN_A_PIPE = 200

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """A list of records."""
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="bold")
    for place, name in enumerate(rows[0] if rows else ()):
        table.add_column(name.replace("_", " "), no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_IN_A_PIPE)
    console.print(table if rows else "Nothing found.")


def print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def fail(message: str) -> None:
    """Ends the command with exit code 1."""
    sys.stderr.write(f"omni: {message}\n")
    sys.exit(1)


def run_command(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a command's work; its expected errors become one sentence and exit code 1."""
    try:
        asyncio.run(work())
    except OmniError as error:
        fail(error.message)
    except (SettingMissing, FileNotFoundError) as error:
        fail(str(error))


def running_settings() -> Settings:
    """The settings, with the addresses of an `omni up` that runs on this home filled in. Raises SettingMissing."""
    settings = Settings()
    if settings.database_url is not None and settings.redis_url is not None:
        return settings
    try:
        content = orjson.loads(settings.run_file.read_bytes())
    except FileNotFoundError:
        raise SettingMissing(
            "OMNI_DATABASE_URL", f"nothing runs on {settings.home}; start `omni up` there, or set OMNI_HOME"
        ) from None
    found = {
        "home": settings.home.resolve(),
        "database_url": content["database"],
        "redis_url": content["redis"],
        "public_url": content["gateway"],
        "console_url": content["console"],
    }
    return Settings(**found)
