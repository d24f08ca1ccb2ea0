"""Asking uploaded models."""

from __future__ import annotations

from tests.inference import onnx_files
from tests.inference.backend import refusal, usage
from tests.inference.registry.conftest import Registry

WEIGHTS = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]


async def test_a_version_answers_and_counts_its_rows(registry: Registry) -> None:
    await registry.model("linear", onnx_files.linear(WEIGHTS, [0.5, 0.25]))
    answer = await registry.predict("linear", inputs={"x": [[1, 1, 1], [0, 0, 2]]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "model": "linear",
        "version": 1,
        "outputs": {"y": {"dtype": "float32", "shape": [2, 2], "data": [[6.5, 60.25], [6.5, 60.25]]}},
    }
    assert usage(answer)["predictions"] == 2
    assert usage(answer)["compute_ms"] >= 1
    assert answer.headers["omni-model"] == "linear:1"


async def test_what_does_not_fit_the_signature_is_refused(registry: Registry) -> None:
    await registry.model("linear", onnx_files.linear(WEIGHTS))
    for inputs in (
        {"x": [[1, 2]]},
        {"z": [[1, 2, 3]]},
        {"x": [[1, 2, 3], [1]]},
        {"x": [["a", 2, 3]]},
        {"x": [[1e39, 0, 0]]},
    ):
        answer = await registry.predict("linear", inputs=inputs)
        assert refusal(answer) == (400, "inputs_invalid"), inputs
