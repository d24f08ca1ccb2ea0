"""When a gateway runs compiled, and when it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omni.apps import compiled

Executed = list[tuple[str, tuple[str, ...], dict[str, str]]]


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Executed:
    """What the process became; an empty folder stands for that of the builds."""
    found: Executed = []
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    monkeypatch.setattr("os.execve", lambda *given: found.append(given))
    monkeypatch.delenv("OMNI_COMPILED", raising=False)
    return found


def built(digest: str) -> None:
    (compiled.FOLDER / compiled.STAMP).write_text(digest, "ascii")


def test_without_a_build_it_goes_on_as_it_is(executed: Executed) -> None:
    compiled.become_compiled(["serve", "gateway"])
    assert not executed


def test_a_build_of_these_sources_is_used(executed: Executed) -> None:
    built(compiled.sources_digest())
    compiled.become_compiled(["serve", "gateway"])
    ((program, arguments, environment),) = executed
    assert program == sys.executable
    assert arguments[1:] == ("-P", "-m", "omni.apps.cli.main", "serve", "gateway")
    assert environment["PYTHONPATH"] == str(compiled.FOLDER)


@pytest.mark.parametrize("own", [None, "glibc.malloc.arena_max=1"])
def test_the_allocator_is_tuned_unless_the_operator_did(
    executed: Executed, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    built(compiled.sources_digest())
    compiled.become_compiled(["serve", "gateway"])
    ((_, _, environment),) = executed
    assert environment["GLIBC_TUNABLES"] == (own or "glibc.malloc.tcache_max=4096:glibc.malloc.tcache_count=16")


def test_a_build_of_other_sources_is_named_and_not_used(executed: Executed, capsys: pytest.CaptureFixture[str]) -> None:
    built("of something else")
    compiled.become_compiled(["serve", "gateway"])
    assert not executed
    assert "make compiled" in capsys.readouterr().err


@pytest.mark.parametrize("no", ["false", "FALSE", "0", "no"])
def test_it_can_be_turned_off(executed: Executed, monkeypatch: pytest.MonkeyPatch, no: str) -> None:
    built(compiled.sources_digest())
    monkeypatch.setenv("OMNI_COMPILED", no)
    compiled.become_compiled(["serve", "gateway"])
    assert not executed


def test_what_runs_compiled_does_not_start_again(executed: Executed, monkeypatch: pytest.MonkeyPatch) -> None:
    built(compiled.sources_digest())
    monkeypatch.setattr(compiled, "PACKAGE", compiled.FOLDER / "omni")
    compiled.become_compiled(["serve", "gateway"])
    assert not executed


def changed_source(folder: Path) -> None:
    (folder / "hot.py").write_text("x = 2\n")


def file_more(folder: Path) -> None:
    (folder / "new.py").write_text("")


def file_less(folder: Path) -> None:
    (folder / "cold.py").unlink()


@pytest.mark.parametrize("change", [changed_source, file_more, file_less])
def test_sources_that_change_ask_for_another_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: Callable[[Path], Any]
) -> None:
    package = tmp_path / "omni"
    package.mkdir()
    (package / "hot.py").write_text("x = 1\n")
    (package / "cold.py").write_text("x = 1\n")
    monkeypatch.setattr(compiled, "PACKAGE", package)
    monkeypatch.setattr(compiled, "HOT_MODULES", ("omni.hot",))
    before = compiled.sources_digest()
    (package / "cold.py").write_text("x = 3\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "hot.pyc").write_bytes(b"x")
    assert compiled.sources_digest() == before, "links lead to what is not compiled"
    change(package)
    assert compiled.sources_digest() != before


def test_the_hot_path_can_be_compiled(tmp_path: Path) -> None:
    """As far as mypyc's part of it: `make compiled` does the rest, and runs the gateway's tests with it."""
    translate = (
        "import sys, pathlib; from tools.compile_gateway import extensions; extensions(pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", translate, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.rglob("*.c"))
