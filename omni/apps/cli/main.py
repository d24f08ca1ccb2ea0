"""Finds the module of a command and runs it. Nothing else is imported, so the gateway starts light."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

from omni import __version__
from omni.apps.cli import roles


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command lives and what it is for."""

    module: str
    summary: str


COMMANDS = {
    "up": CommandEntry("omni.apps.cli.up", "Start everything on this machine."),
    "demo": CommandEntry("omni.apps.cli.demo", "Take the guided tour on a running platform."),
    "serve": CommandEntry("omni.apps.cli.serve", "Run one process: gateway, backend, console, worker or status."),
    "migrate": CommandEntry("omni.apps.cli.migrate", "Bring the database to this release's schema."),
    "doctor": CommandEntry("omni.apps.cli.doctor", "Print every setting and check what Omni stands on."),
    "verify": CommandEntry("omni.apps.cli.verify", "Prove that usage, rollups and invoices agree."),
    "tenants": CommandEntry("omni.apps.cli.tenants", "List, open and suspend tenants."),
    "keys": CommandEntry("omni.apps.cli.keys", "Create, list and revoke API keys."),
    "plans": CommandEntry("omni.apps.cli.plans", "List plans and their limits."),
    "models": CommandEntry("omni.apps.cli.models", "List the models that the backend serves."),
    "usage": CommandEntry("omni.apps.cli.usage", "Show what a tenant used."),
    "invoices": CommandEntry("omni.apps.cli.invoices", "Show what tenants owe; make invoices final, get their PDF."),
    "billing": CommandEntry("omni.apps.cli.billing", "Compare usage, invoices, books and payment providers."),
    "sla": CommandEntry("omni.apps.cli.sla", "Show how available a tenant's months were, and what was credited."),
    "status": CommandEntry("omni.apps.cli.status", "Write to the status page: incidents and maintenance."),
    "clock": CommandEntry("omni.apps.cli.clock", "Move the clock of a sandbox tenant."),
}


def run() -> None:
    """The console script. Exit codes: 0 done, 1 failed or differences found, 2 wrong usage."""
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "serve" and arguments[1] in roles.MODULES:
        roles.serve(roles.Role(arguments[1]))
    elif arguments and arguments[0] in COMMANDS:
        module = importlib.import_module(COMMANDS[arguments[0]].module)
        module.app(args=arguments[1:], prog_name=f"omni {arguments[0]}")
    elif arguments == ["--version"]:
        sys.stdout.write(f"omni {__version__}\n")
    elif arguments in ([], ["--help"], ["-h"], ["help"]):
        sys.stdout.write(_help())
    else:
        sys.stderr.write(f"omni: there is no command {arguments[0]!r}.\n\n{_help()}")
        sys.exit(2)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {entry.summary}" for name, entry in COMMANDS.items()]
    return (
        "Usage: omni COMMAND [OPTIONS]\n\nOne gateway for your own models and those you buy, sold as metered APIs.\n\n"
        + "\n".join(lines)
        + "\n\n`omni COMMAND --help` says more. `--json` prints for programs.\n"
    )


if __name__ == "__main__":
    run()
