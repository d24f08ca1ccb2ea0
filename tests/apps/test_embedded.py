"""The embedded servers where they are hard to run: below folders that only their owner may enter."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.services import running
from omni.apps.embedded import postgres
from omni.apps.embedded.launch import free_port
from omni.apps.embedded.postgres import EmbeddedPostgres, find_binaries
from omni.foundation.crypto.secrets import MasterKey


@pytest.fixture
def private_binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's programs in a folder that nobody else may enter."""
    package = find_binaries().parent.parent
    tmp_path.chmod(0o700)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, tmp_path / folder.name)
    copied = tmp_path / package.name / find_binaries().parent.name / "bin"
    monkeypatch.setattr(postgres, "find_binaries", lambda: copied)


def start_and_stop(service: EmbeddedPostgres, folder: Path) -> str:
    with running(service, folder):
        pass
    return (folder / "postgres.log").read_text()


def test_programs_and_data_below_a_private_folder(tmp_path: Path, private_binaries: None) -> None:
    service = EmbeddedPostgres(tmp_path / "home" / "postgres", free_port(), MasterKey(os.urandom(32)))
    assert "ready to accept connections" in start_and_stop(service, tmp_path)


def test_a_lock_file_of_a_killed_server_is_no_obstacle(tmp_path: Path) -> None:
    service = EmbeddedPostgres(tmp_path / "postgres", free_port(), MasterKey(os.urandom(32)))
    start_and_stop(service, tmp_path)
    lock = tmp_path / "postgres" / "data" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n1\n1\n\n\n1 1\n")  # a process that lives, but is no PostgreSQL
    start_and_stop(service, tmp_path)


def test_a_first_start_that_was_killed_half_way_starts_over(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "leftover").write_text("")
    (folder / "data.new").mkdir()
    service = EmbeddedPostgres(folder, free_port(), MasterKey(os.urandom(32)))
    start_and_stop(service, tmp_path)
    assert not (folder / "data" / "leftover").exists()


@pytest.mark.parametrize(
    ("memory_mib", "limit", "buffers"),
    [(24_576, "max\n", "2048MB"), (8_192, "max\n", "1024MB"), (8_192, "2147483648\n", "256MB"), (512, None, "128MB")],
)
def test_buffers_follow_the_memory_that_there_is(
    memory_mib: int, limit: str | None, buffers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(postgres, "_MEMORY_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=memory_mib << 20))
    service = EmbeddedPostgres(tmp_path / "postgres", free_port(), MasterKey(os.urandom(32)))
    assert f"shared_buffers={buffers}" in " ".join(service.command().arguments)
