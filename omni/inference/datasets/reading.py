"""Reads files of datasets through the worker process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from omni.inference.datasets.errors import refusal
from omni.inference.datasets.schemas import Format
from omni.inference.runtime.call import Call, deadline_exceeded
from omni.inference.runtime.pool import EnginePool

MEMORY_BYTES = 4 * 1024**3
CPU_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ReadTable:
    """What was in a file."""

    rows: int
    columns: list[dict[str, Any]]
    """As DatasetColumn."""
    profile: dict[str, Any]
    """As DatasetProfile."""
    parquet: bytes


class TableReader:
    """Reads each file in a process of its own, with limits on memory, CPU time and written files."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool

    async def read(self, call: Call, data: bytes, file_format: Format) -> ReadTable:
        """The table. Raises InvalidInput and TooLarge with the worker's reason, and what EnginePool.run raises."""
        request = json.dumps({"format": file_format, "memory_bytes": MEMORY_BYTES, "cpu_seconds": CPU_SECONDS})
        output = await self._pool.run(call, "datasets", lambda: _run_worker(request, data, call.seconds_left()))
        line, _, parquet = output.partition(b"\n")
        if not line:
            raise refusal("dataset_too_large", "Reading the file takes too much memory or time. Split it.")
        answer = json.loads(line)
        call.usage.compute_nanos += answer["cpu_nanos"]
        if "refused" in answer:
            raise refusal(*answer["refused"])
        return ReadTable(answer["rows"], answer["columns"], answer["profile"], parquet)


def _run_worker(request: str, data: bytes, seconds: float) -> bytes:
    """What the worker wrote; nothing when it died. It gets no environment but the path of its modules, one thread for
    numbers, and the allocator that gives memory back."""
    command = [sys.executable, "-m", "omni.inference.datasets.worker", request]
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise deadline_exceeded() from None
    return done.stdout if done.returncode == 0 else b""
