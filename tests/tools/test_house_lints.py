"""The house rules are seen to find what they are for."""

from __future__ import annotations

import pytest

from tools.house_lints import findings

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
