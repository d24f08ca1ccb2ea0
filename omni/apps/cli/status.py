"""`omni status`: incidents and maintenance on the status page, over its own API."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import httpx2
import orjson
import typer

from omni.apps.cli.output import JsonFlag, fail, print_rows
from omni.apps.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="Its id; `omni status incidents` shows them.")]
Text = Annotated[str, typer.Option("--body", help="What people read.")]
Affected = Annotated[
    list[str] | None, typer.Option("--component", help="Id of a component that it touches; may be given again.")
]
Moment = Annotated[datetime, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])]


class Impact(StrEnum):
    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


@app.command("incidents")
def list_incidents(json: JsonFlag = False) -> None:
    """Incidents and maintenances, newest first."""
    found = _call("GET", "/api/v2/incidents.json")["incidents"]
    found += _call("GET", "/api/v2/scheduled-maintenances.json")["scheduled_maintenances"]
    print_rows([_row(incident) for incident in found], json)


@app.command("open")
def open_incident(
    name: Annotated[str, typer.Argument(help="Its headline.")],
    body: Text,
    impact: Annotated[Impact, typer.Option(help="How bad it is.")] = Impact.MINOR,
    component: Affected = None,
    json: JsonFlag = False,
) -> None:
    """Open an incident and tell the subscribers."""
    given = {"name": name, "body": body, "impact": impact.value, "components": component or []}
    print_rows([_row(_call("POST", "/api/incidents", given))], json)


@app.command()
def update(
    incident: Id,
    body: Text,
    status: Annotated[
        str | None,
        typer.Option(
            help="investigating, identified, monitoring, resolved; of a maintenance in_progress, verifying, completed."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Add an update to an incident or a maintenance; without --status its state stays."""
    given = {"body": body, "status": status}
    print_rows([_row(_call("POST", f"/api/incidents/{incident}/updates", given))], json)


@app.command()
def maintenance(
    name: Annotated[str, typer.Argument(help="Its headline.")],
    body: Text,
    start: Moment,
    end: Moment,
    component: Affected = None,
    json: JsonFlag = False,
) -> None:
    """Plan a maintenance; it begins and ends by the clock. Times as 2026-11-30T22:00+0100."""
    given = {
        "name": name,
        "body": body,
        "scheduled_for": start.isoformat(),
        "scheduled_until": end.isoformat(),
        "components": component or [],
    }
    print_rows([_row(_call("POST", "/api/maintenances", given))], json)


@app.command()
def token() -> None:
    """Print the token that the status page's API takes."""
    sys.stdout.write(Settings().load_status_token() + "\n")


def _call(method: str, path: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    settings = Settings()
    url = _address(settings) + path
    headers = {"Authorization": f"Bearer {settings.load_status_token()}"}
    try:
        answer = httpx2.request(method, url, json=given, headers=headers, timeout=10, trust_env=False)
    except httpx2.TransportError as error:
        fail(f"the status page at {url} does not answer: {error}")
        raise
    document: dict[str, Any] = orjson.loads(answer.content)
    if answer.status_code >= 400:
        fail(document.get("detail") or document["title"])
    return document


def _address(settings: Settings) -> str:
    """Of the `omni up` that runs on this home, else of the settings."""
    try:
        return str(orjson.loads(settings.run_file.read_bytes())["status"])
    except FileNotFoundError:
        return f"http://{settings.status_host}:{settings.status_port}"


def _row(incident: dict[str, Any]) -> dict[str, Any]:
    shown = ("id", "name", "status", "impact", "created_at", "resolved_at", "scheduled_for", "scheduled_until")
    return {name: incident.get(name) for name in shown}
