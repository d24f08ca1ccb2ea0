"""`omni up`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from omni.apps.embedded.launch import StartupError
from omni.apps.settings import Settings
from omni.apps.supervisor.home import Home
from omni.apps.supervisor.supervisor import Supervisor
from omni.foundation.crypto.secrets import InvalidMasterKey
from omni.telemetry.logs import configure_logs

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def up(
    home: Annotated[Path | None, typer.Option(help="Folder for all state; ./.omni when left out.")] = None,
    gateway_port: Annotated[int | None, typer.Option(help="Port of the public API; 8080 when left out.")] = None,
    console_port: Annotated[int | None, typer.Option(help="Port of the console; 8081 when left out.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Gateway processes that share the port.")] = None,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    given: dict[str, Any] = {
        "home": home,
        "gateway_port": gateway_port,
        "console_port": console_port,
        "gateway_workers": workers,
    }
    try:
        run_platform(Settings(**{name: value for name, value in given.items() if value is not None}), _announce)
    except (StartupError, InvalidMasterKey) as error:
        sys.stderr.write(f"omni up: {error}\n")
        sys.exit(1)


def run_platform(settings: Settings, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Starts, calls `on_ready` with the content of run.json, and returns once everything has stopped.

    Raises StartupError, InvalidMasterKey.
    """
    home = Home(settings.home)
    settings = settings.model_copy(update={"home": home.folder})
    try:
        configure_logs("supervisor", "WARNING")
        settings.load_master_key()  # makes it, where there is none
        asyncio.run(Supervisor(settings, home).run(on_ready))
    finally:
        home.close()


def _announce(content: dict[str, Any]) -> None:
    typer.secho("Omni is ready.", fg="green", bold=True)
    for name in ("gateway", "console", "status"):
        typer.echo(f"  {name:<8} {content[name]}")
    if "bootstrap" in content:
        first = content["bootstrap"]
        typer.echo(f"  operator {first['operator_email']}  password {first['operator_password']}  (shown once)")
        typer.echo(f"  live key {first['live_key']}  (shown once)")
    typer.echo("Ctrl-C stops everything.")
