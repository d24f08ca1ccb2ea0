"""The database is made ready by a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from omni.apps.embedded.launch import StartupError, free_port
from omni.apps.preparation import Preparation
from omni.apps.settings import Settings
from omni.apps.supervisor.plan import without_credentials


async def test_what_goes_wrong_is_said(tmp_path: Path) -> None:
    Settings(home=tmp_path).load_master_key()
    preparation = await Preparation.begin(tmp_path)
    with pytest.raises(StartupError, match=r"refused|Connect"):
        await preparation.prepare(f"postgresql://omni:secret@127.0.0.1:{free_port()}/omni")
    await preparation.end()


async def test_one_that_is_not_needed_is_ended(tmp_path: Path) -> None:
    preparation = await Preparation.begin(tmp_path)
    async with asyncio.timeout(10):
        await preparation.end()
        await preparation.end()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://omni:secret@127.0.0.1:5432/omni", "postgresql://127.0.0.1:5432/omni"),
        ("postgresql://omni:a%40b@db/omni?sslmode=require", "postgresql://db/omni?sslmode=require"),
        ("postgresql://db/omni", "postgresql://db/omni"),
        ("postgresql://omni:secret@/omni?host=/run/pg", "postgresql:///omni?host=/run/pg"),
    ],
)
def test_addresses_are_handed_on_without_the_administrator(url: str, expected: str) -> None:
    assert without_credentials(url) == expected


def test_omni_up_keeps_no_database_code() -> None:
    loads = "import sys, omni.apps.cli.up; print([m for m in ('sqlalchemy', 'alembic', 'redis') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
