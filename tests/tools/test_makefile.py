"""The targets do what they are named for: make says what it would run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("bench-gateway", "-m bench gateway"),
        ("bench-metering", "-m bench metering"),
        ("bench", "-m bench\n"),
        ("compiled", "-m tools.compile_gateway"),
    ],
)
def test_a_target_runs_its_command(target: str, command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ("make", "-n", target), cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert command in said.stdout
