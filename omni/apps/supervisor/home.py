"""OMNI_HOME: made, checked, and held by one supervisor at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from omni.apps.embedded.launch import StartupError


class Home:
    """The folder of an installation, locked for as long as this object lives."""

    def __init__(self, folder: Path) -> None:
        """Raises StartupError when it cannot be written or another `omni up` has it."""
        self.folder = folder.resolve()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "logs").mkdir(exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartupError(
                f"The home {self.folder} cannot be written ({error.strerror}): choose another with --home."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartupError(
                f"Another `omni up` already runs on {self.folder}: stop it first, or choose another --home."
            ) from None

        (self.folder / "run.json").unlink(missing_ok=True)  # a killed supervisor's: it would name dead processes

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def write_run_file(self, content: dict[str, Any]) -> None:
        """Replaces run.json in one step; only its owner may read it."""
        target = self.folder / "run.json"
        temporary = target.with_suffix(".part")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)

    def write_targets(self, metrics: Mapping[str, str]) -> None:
        """Where Prometheus finds each process's metrics (`host:port`), in the form of its file_sd_configs."""
        folder = self.folder / "prometheus"
        folder.mkdir(exist_ok=True)
        targets = [
            {"targets": [address], "labels": {"process": name.partition("-")[0]}} for name, address in metrics.items()
        ]
        temporary = folder / "targets.part"
        temporary.write_bytes(orjson.dumps(targets, option=orjson.OPT_INDENT_2))
        temporary.replace(folder / "targets.json")

    def close(self) -> None:
        """Removes run.json and lets the home go."""
        (self.folder / "run.json").unlink(missing_ok=True)
        os.close(self._lock)
