"""What is counted of models that are uploaded, asked and put out of service, through the API and real processes."""

from __future__ import annotations

import numpy as np
from onnx import helper
from prometheus_client import CollectorRegistry

from tests.inference import onnx_files
from tests.inference.backend import refusal
from tests.inference.measured import Grown, value
from tests.inference.registry.conftest import MODELS, Registry

SECONDS = "omni_prediction_duration_seconds_count"
ENDS = "omni_serving_ends_total"
UPLOADS = "omni_model_uploads_total"
TOO_SHORT = onnx_files.model(
    onnx_files.graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"])],
        [onnx_files.value("x", ["rows", 3])],
        [onnx_files.value("y", ["rows", 1])],
        w=np.zeros((2, 1), np.float32),
    )
).SerializeToString()
"""Its weights are for two columns; it says that it takes three."""


async def test_uploads_are_counted_by_what_became_of_them(
    registry: Registry, metrics_registry: CollectorRegistry
) -> None:
    grown = Grown(metrics_registry, UPLOADS)
    await registry.model("m", onnx_files.linear([[1.0]]))
    assert refusal(await registry.upload("m", b"no model at all"))[1] == "model_format_unsupported"
    assert refusal(await registry.upload("m", TOO_SHORT))[1] == "model_does_not_run"
    assert grown.by(UPLOADS) == {"stored": 1, "refused": 1, "does_not_run": 1}


async def test_answers_are_counted_by_outcome(registry: Registry, metrics_registry: CollectorRegistry) -> None:
    await registry.model("linear", onnx_files.linear([[1.0]]))
    await registry.model("big", onnx_files.allocating())
    grown = Grown(metrics_registry, SECONDS)
    for _ in range(3):
        assert (await registry.predict("linear", inputs={"x": [[1]]})).status_code == 200
    assert refusal(await registry.predict("linear", inputs={"x": [[1, 2]]})) == (400, "inputs_invalid")
    assert refusal(await registry.predict("big", inputs={"x": [1], "count": [1 << 29]})) == (422, "model_run_failed")
    assert grown.by(SECONDS) == {"ok": 3, "invalid": 1, "model_failed": 1}


async def test_a_version_that_dies_three_times_is_counted_as_withdrawn(
    registry: Registry, metrics_registry: CollectorRegistry
) -> None:
    await registry.model("loop", onnx_files.looping())
    grown = Grown(metrics_registry, SECONDS)
    name, ends = "omni_serving_withdrawn_total", Grown(metrics_registry, ENDS, label="reason")
    before = value(metrics_registry, name)
    for _ in range(3):
        died = await registry.predict("loop", inputs={"turns": 1 << 60, "x": [1]})
        assert refusal(died) == (422, "model_process_ended")
    assert grown.by(SECONDS) == {"process_ended": 3}
    assert ends.by(ENDS)["cpu"] == 3
    assert value(metrics_registry, name) == before + 1
    state = await registry.tenant.send("GET", f"{MODELS}/loop/versions/1")
    assert state.json()["state"] == "withdrawn"
