"""The house rules are seen to find what they are for."""

from __future__ import annotations

import pytest

from tools.house_lints import COMPILED, findings

DOCSTRING = '"""What it is for."""\n'


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import joblib as j",
        "from dill import loads",
        "from torch.serialization import load",
        "import numpy, shelve",
        "numpy.load(file, allow_pickle=True)",
        "numpy.load(file, allow_pickle=flag)",
        "pandas.read_pickle(file)",
    ],
)
def test_nothing_in_the_server_unpickles(line: str) -> None:
    assert list(findings("omni/inference/x.py", DOCSTRING + line + "\n"))
    assert not list(findings("tests/x.py", DOCSTRING + line + "\n"))


@pytest.mark.parametrize("line", ["import json", "numpy.load(file, allow_pickle=False)", "from torchlike import x"])
def test_what_does_not_unpickle_passes(line: str) -> None:
    assert not list(findings("omni/inference/x.py", DOCSTRING + line + "\n"))


@pytest.mark.parametrize(
    "work",
    [
        "except OSError:\n        await x",
        "finally:\n        async with x:\n            pass",
        "finally:\n        yield",
    ],
)
def test_nothing_compiled_waits_while_it_handles_an_exception(work: str) -> None:
    source = f"{DOCSTRING}async def f():\n    try:\n        await x\n    {work}\n"
    assert "omni/gateway/pipeline.py" in COMPILED
    assert [finding for finding in findings("omni/gateway/pipeline.py", source) if "waits in" in finding]
    assert not list(findings("omni/gateway/config.py", source))


def test_waiting_beside_a_handler_passes() -> None:
    source = f"{DOCSTRING}async def f():\n    try:\n        await x\n    except OSError:\n        y()\n    await z\n"
    assert not list(findings("omni/gateway/pipeline.py", source))
