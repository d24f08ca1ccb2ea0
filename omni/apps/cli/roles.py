"""The processes of the platform by name. Without the libraries of the command line, which none of them needs."""

from __future__ import annotations

import importlib
import os
import sys
from enum import StrEnum

from omni.apps.compiled import become_compiled


class Role(StrEnum):
    GATEWAY = "gateway"
    BACKEND = "backend"
    CONSOLE = "console"
    WORKER = "worker"
    STATUS = "status"


MODULES = {
    Role.GATEWAY: "omni.apps.gateway",
    Role.BACKEND: "omni.apps.backend",
    Role.CONSOLE: "omni.apps.console",
    Role.WORKER: "omni.apps.worker.main",
    Role.STATUS: "omni.apps.status",
}


def serve(role: Role) -> None:
    """Runs one of them in the foreground."""
    if role is Role.GATEWAY:
        become_compiled(["serve", role.value])
    if role is Role.BACKEND:
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
