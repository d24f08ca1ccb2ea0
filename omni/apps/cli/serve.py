"""`omni serve ROLE`."""

from __future__ import annotations

import importlib
import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="Run one process of the platform in the foreground."
)


class ProcessRole(StrEnum):
    GATEWAY = "gateway"
    BACKEND = "backend"
    CONSOLE = "console"
    WORKER = "worker"
    STATUS = "status"


MODULES = {
    ProcessRole.GATEWAY: "omni.apps.gateway",
    ProcessRole.BACKEND: "omni.apps.backend",
    ProcessRole.CONSOLE: "omni.apps.console",
    ProcessRole.WORKER: "omni.apps.worker.main",
    ProcessRole.STATUS: "omni.apps.status",
}


@app.command()
def serve(role: Annotated[ProcessRole, typer.Argument(help="Which process.")]) -> None:
    """Run one process. Its settings come from OMNI_… variables; `omni doctor` lists them."""
    if role is ProcessRole.BACKEND:
        _keep_to_engine_threads()
    settings_errors = importlib.import_module("omni.apps.settings")
    try:
        importlib.import_module(MODULES[role]).main()
    except settings_errors.SettingMissing as error:
        sys.stderr.write(f"omni serve {role}: {error}\n")
        sys.exit(1)


def _keep_to_engine_threads() -> None:
    """One engine thread is one core: linear algebra that starts its own threads fights with the other engines for them,
    and what they use is not metered. Read when numpy is imported, so before everything else.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
