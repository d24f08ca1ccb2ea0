"""The training process: what it may use, and that it ends when it has to."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from omni.inference.automl import trainer
from omni.inference.automl.trainer import FILE_BYTES, MEMORY_BYTES, Outcome, TrainingSlice, train
from omni.kit.ids import uuid7
from tests.inference.automl.tables import prices


def training(folder: Path) -> TrainingSlice:
    """One that would go on for the whole slice."""
    (folder / "kept").mkdir()
    table = pyarrow.csv.read_csv(pa.BufferReader(prices(400)))
    schema = pa.schema([("size", pa.float64()), ("garden", pa.bool_()), ("price", pa.float64())])
    pyarrow.parquet.write_table(table.cast(schema), folder / "data.parquet")
    given = {"dataset_id": str(uuid7()), "target": "price", "model_name": "m", "time_budget_seconds": 3_600}
    return TrainingSlice(given, folder / "data.parquet", folder / "kept", [], 120, 2_700)


async def never() -> bool:
    return False


async def silent(_level: str, _message: str) -> None:
    return None


def process_of(folder: Path) -> int | None:
    """The id of the training process that works in the folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if b"omni.inference.automl.child" in command and str(folder).encode() in command and state != "Z":
                return int(entry.name)
    return None


async def eventually(found: Callable[[], Any], seconds: float = 60) -> Any:
    async with asyncio.timeout(seconds):
        while not (value := found()):
            await asyncio.sleep(0.05)
        return value


async def test_it_is_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNI_SECRET", "not for it")
    cancelled = False

    async def asked() -> bool:
        return cancelled

    running = asyncio.create_task(train(training(tmp_path), asked, silent))
    pid = await eventually(lambda: process_of(tmp_path))
    limits = Path(f"/proc/{pid}/limits")
    await eventually(lambda: str(FILE_BYTES) in limits.read_text())
    found = {line[:26].strip(): line[26:].split()[1] for line in limits.read_text().splitlines()[1:]}
    assert found["Max address space"] == str(MEMORY_BYTES)
    assert found["Max file size"] == str(FILE_BYTES)
    assert found["Max core file size"] == "0"
    assert int(found["Max cpu time"]) > 0
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]) == 10, "nice"
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"OMNI_SECRET" not in environment
    cancelled = True
    outcome = await running
    assert outcome.end == "cancelled"
    assert process_of(tmp_path) is None


async def test_what_was_tried_outlives_a_process_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Outcome()
    monkeypatch.setattr(trainer, "Outcome", lambda: seen)
    running = asyncio.create_task(train(training(tmp_path), never, silent))
    pid = await eventually(lambda: process_of(tmp_path))
    await eventually(lambda: seen.trials)
    os.kill(pid, signal.SIGKILL)
    outcome = await running
    assert outcome.end == ""
    assert outcome.trials, "lines that were written are kept"
    assert all(trial["family"] for trial in outcome.trials)


SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.inference.automl.test_process import never, silent, training
from omni.inference.automl.trainer import train
asyncio.run(train(training(Path(sys.argv[1])), never, silent))
"""


async def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment)
    pid = await eventually(lambda: process_of(tmp_path))
    await eventually(lambda: str(FILE_BYTES) in Path(f"/proc/{pid}/limits").read_text())
    parent.kill()
    parent.wait()
    await eventually(lambda: process_of(tmp_path) is None, 10)
