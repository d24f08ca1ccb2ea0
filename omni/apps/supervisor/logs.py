"""A process's output as JSON lines in a file that rotates."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson

MAX_BYTES = 20 * 1024 * 1024
KEPT_FILES = 5


class ProcessLog:
    """Appends lines to `<name>.log`; what is not JSON (a server's own words, a traceback) is wrapped into it."""

    def __init__(self, folder: Path, name: str, max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES) -> None:
        self._path = folder / f"{name}.log"
        self._name = name
        self._max_bytes = max_bytes
        self._kept_files = kept_files
        self._file = self._open()
        self.last_line = ""

    def write(self, line: bytes) -> None:
        """One line, with or without its end."""
        line = line.rstrip(b"\r\n")
        if not line.strip():
            return
        if not _is_json_object(line):
            self.last_line = line.decode("utf-8", "replace")
            line = orjson.dumps(
                {"event": self.last_line, "process": self._name, "timestamp": datetime.now(UTC).isoformat()}
            )
        self._file.write(line + b"\n")
        self._file.flush()
        if self._file.tell() >= self._max_bytes:
            self._rotate()

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab")

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._kept_files - 1, 0, -1):
            older = self._path.with_suffix(f".log.{number}")
            if older.exists():
                older.replace(self._path.with_suffix(f".log.{number + 1}"))
        self._path.replace(self._path.with_suffix(".log.1"))
        self._file = self._open()


def _is_json_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
