"""Messages that are too long, cut off or nonsense."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from omni.inference.serving import frames, tensors
from omni.inference.serving.frames import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, BrokenFrame


def test_a_frame_comes_back() -> None:
    data = frames.pack({"do": "run"}, [b"ab", b"c"]) + frames.pack({"n": 1})
    source = io.BytesIO(data)
    assert frames.read(source) == ({"do": "run"}, b"abc")
    assert frames.read(source) == ({"n": 1}, b"")
    assert frames.read(source) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        struct.pack(">IQ", MAX_HEADER_BYTES + 1, 0),
        struct.pack(">IQ", 2, MAX_PAYLOAD_BYTES + 1) + b"{}",
        struct.pack(">IQ", 2, 5) + b"{}abc",
        struct.pack(">IQ", 2, 0) + b"[]",
        struct.pack(">IQ", 1, 0) + b"{",
        struct.pack(">IQ", 100_000, 0) + b"[" * 100_000,
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenFrame):
        frames.read(io.BytesIO(data))


def test_nothing_too_long_is_sent() -> None:
    with pytest.raises(BrokenFrame):
        frames.pack({"x": "a" * MAX_HEADER_BYTES})


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [3]}, {"shape": [-2]}, {"shape": [1] * 9}, {"bytes": 9}, {"bytes": 7}, {"dtype": "object"},
        {"dtype": "string"}, {"shape": "ab"}, {"shape": None},
    ],
)  # fmt: skip
def test_tensors_that_lie_about_themselves_are_refused(change: dict[str, object]) -> None:
    heads, parts = tensors.describe({"x": np.array([1, 2], np.float32)})
    assert tensors.restore(heads, parts[0])["x"].tolist() == [1.0, 2.0]
    with pytest.raises(BrokenFrame):
        tensors.restore([{**heads[0], **change}], parts[0])
