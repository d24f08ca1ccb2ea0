"""Engines whose package or library is missing say so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from omni.inference.runtime.lazy import LazyEngine
from omni.kit.errors import NotConfigured


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("import no_such_package_of_ours", "no_such_package_of_ours"),
        ("import ctypes; ctypes.CDLL('libnosuchthing.so.1')", "libnosuchthing.so.1"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, named: str) -> None:
    (tmp_path / "engine_of_a_test.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        with pytest.raises(NotConfigured) as refused:
            LazyEngine("engine_of_a_test", lambda module: module).get()
    finally:
        sys.modules.pop("engine_of_a_test", None)
    assert (refused.value.code, named in refused.value.message) == ("engine_not_installed", True)


def test_other_errors_of_a_module_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_engine_of_a_test.py").write_text("raise OSError('disk on fire')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(OSError, match="disk on fire"):
        LazyEngine("broken_engine_of_a_test", lambda module: module).get()
