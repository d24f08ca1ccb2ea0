"""`omni demo`: the tour on a running platform, or with `--up` on one that is started for it."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from omni.apps.cli.output import running_settings
from omni.apps.database import database_address
from omni.apps.demo.client import Doors, TourFailed
from omni.apps.demo.settling import settle_up
from omni.apps.demo.tour import Tour
from omni.apps.settings import SettingMissing, Settings
from omni.apps.verification import verify_all
from omni.kit.errors import OmniError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
START_SECONDS = 120.0
STOP_SECONDS = 60.0


@app.command()
def demo(
    up: Annotated[bool, typer.Option("--up", help="Start the platform first, and stop it at the end.")] = False,
    stay: Annotated[
        bool, typer.Option(help="With --up: keep serving after the tour (OMNI_DEMO_EXIT=1 says no).")
    ] = os.environ.get("OMNI_DEMO_EXIT") != "1",
) -> None:
    """Take the guided tour: two tenants, real input, limits, isolation, usage, an invoice, verification."""
    console = Console(highlight=False)
    if not up:
        sys.exit(_tour(console))
    platform = _start(console)
    try:
        code = _tour(console)
        if code == 0 and stay:
            console.print("\nServing until Ctrl-C.")
            platform.wait()
    except KeyboardInterrupt:
        code = 0
    finally:
        _stop(platform)
    sys.exit(code)


def _start(console: Console) -> subprocess.Popen[bytes]:
    """`omni up` as a child, ready. Ends this program when it does not get ready."""
    settings = Settings()
    started = time.monotonic()
    earlier = _written_at(settings.run_file)
    platform = subprocess.Popen(
        [sys.executable, "-m", "omni.apps.cli.main", "up"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    with console.status("Starting PostgreSQL, Redis, gateway, backend, console, worker, status …"):
        while _written_at(settings.run_file) in (None, earlier):
            if platform.poll() is not None:
                sys.exit(platform.returncode or 1)
            if time.monotonic() - started > START_SECONDS:
                _stop(platform)
                console.print(f"The platform was not ready within {START_SECONDS:.0f} s; see {settings.home}/logs.")
                sys.exit(1)
            time.sleep(0.05)
    console.print(f"[green]✓[/] The platform is up [dim]({time.monotonic() - started:.1f} s)[/]")
    return platform


def _written_at(file: Path) -> int | None:
    """When the file was written, in nanoseconds; None when it is not there."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _stop(platform: subprocess.Popen[bytes]) -> None:
    if platform.poll() is None:
        platform.send_signal(signal.SIGTERM)
    try:
        platform.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        platform.kill()


def _tour(console: Console) -> int:
    """The exit code."""
    try:
        settings = running_settings()
        content = orjson.loads((settings.home / "run.json").read_bytes())
        return asyncio.run(_walk(console, settings, content))
    except (SettingMissing, FileNotFoundError) as error:
        console.print(f"[red]{error}[/]")
    except (TourFailed, OmniError) as error:
        console.print(f"[red]✗ {error}[/]")
    return 1


async def _walk(console: Console, settings: Settings, content: dict[str, Any]) -> int:
    doors = Doors(content["gateway"], content["console"], Path(settings.mail_folder))
    verify = partial(verify_all, database_address(settings), settings.redis_address())
    tour = Tour(doors, verify, partial(settle_up, database_address(settings), settings.home / "invoices"))
    started = time.monotonic()
    try:
        for title, step in tour.steps():
            with console.status(title):
                step_started = time.monotonic()
                shown = await step()
            seconds = time.monotonic() - step_started
            console.print(f"[green]✓[/] [bold]{title}[/] [dim]({seconds:.1f} s)[/]\n  {shown}", soft_wrap=True)
    finally:
        await doors.close()
    tour.figures["Tour"] = f"{time.monotonic() - started:.1f} s"
    _print_figures(console, tour)
    _print_next_steps(console, content, tour)
    return 0


def _print_figures(console: Console, tour: Tour) -> None:
    latencies = Table("call", "calls", "median ms", "slowest ms", box=None, header_style="bold")
    for name, millis in tour.doors.millis.items():
        shown = name.replace(tour.collection_id, "{id}") if tour.collection_id else name
        if len(millis) == 1 and "/documents/" in shown:
            continue
        latencies.add_row(shown, str(len(millis)), f"{statistics.median(millis):.1f}", f"{max(millis):.1f}")
    console.print()
    console.print(Panel(latencies, title="Latencies as the caller saw them", expand=False))
    figures = Table(box=None, show_header=False)
    for name, value in tour.figures.items():
        figures.add_row(f"[bold]{name}[/]", value)
    console.print(Panel(figures, title="Figures", expand=False))


def _print_next_steps(console: Console, content: dict[str, Any], tour: Tour) -> None:
    assert tour.first is not None
    gateway, key = content["gateway"], tour.first.key
    console.print(f"\nGateway  {gateway}   Console  {content['console']}   Status  {content['status']}")
    console.print(f"Key      {key}\n", soft_wrap=True)
    auth = f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
    model = '\'{"model": "all-MiniLM-L6-v2", "input": "Hello"}\''
    question = '\'{"question": "When does the licence terminate?"}\''
    texts = '\'{"texts": ["What a lovely day!"]}\''
    for path, body in (
        ("/v1/embeddings", model),
        (f"/v1/collections/{tour.collection_id}/answer", question),
        ("/v1/text/sentiment", texts),
    ):
        console.print(f"curl {gateway}{path} {auth} -d {body}", soft_wrap=True, markup=False)
