"""What is refused before anything loads it, and what is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from prometheus_client import CollectorRegistry

from omni.contracts.principal import Principal
from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.registry.admission import operators
from omni.inference.registry.admission.description import Description, Tensor
from omni.inference.registry.admission.onnx_file import read_onnx
from omni.inference.registry.onnx_runner import OnnxRunner
from omni.inference.registry.schemas import ModelRequest, VersionFields
from omni.inference.registry.service import RegistryService
from omni.inference.registry.trial import TrialResult
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.serving.pool import ServingPool
from omni.inference.serving.settings import ServingSettings
from omni.kit.clock import SystemClock, unix_micros
from omni.kit.errors import OmniError
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import InferenceMetrics
from tests.inference import onnx_files
from tests.inference.registry import hostile

REFUSALS = {"model_format_unsupported", "model_file_refused"}


class CountingTrial:
    """Loads nothing, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.loads = 0

    async def __call__(
        self, call: Call, data: bytes, described: Description, dimensions: Mapping[str, int]
    ) -> TrialResult:
        self.loads += 1
        return TrialResult(1.0, 1.0, 1, False, {})


def a_call() -> Call:
    deadline = unix_micros() + 120_000_000
    return Call(Principal(uuid7(), uuid7(), uuid7(), "test", None, deadline))


async def test_no_hostile_file_is_loaded(
    database: Database, objects: ObjectStore, engine_pool: EnginePool, tmp_path: Path
) -> None:
    canary, trial, clock = tmp_path / "canary", CountingTrial(), SystemClock()
    files = hostile.corpus(canary)
    assert len(files) >= 40
    metrics = InferenceMetrics(CollectorRegistry())
    runner = OnnxRunner(database, objects, engine_pool, ServingPool(ServingSettings(), metrics.serving), clock)
    service = RegistryService(database, objects, engine_pool, trial, runner, clock, metrics.predictions)
    call = a_call()
    tenant_id = call.principal.tenant_id
    await service.create(tenant_id, ModelRequest(name="m"))
    taken = []
    for name, data in files.items():
        try:
            await service.add_version(
                dataclasses.replace(a_call(), principal=call.principal), "m", data, VersionFields()
            )
            taken.append(name)
        except OmniError as error:
            if error.code not in REFUSALS:
                taken.append(f"{name}: {error.code} {error.message}")
    assert taken == []
    assert trial.loads == 0
    assert not canary.exists()
    assert await objects.names(tenant_id) == []
    await service.add_version(call, "m", onnx_files.linear(hostile.WEIGHTS), VersionFields())
    assert trial.loads == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (hostile.pickles, "pickle"),
        (hostile.archives, "ZIP archive"),
        (hostile.safetensors_lies, "safetensors"),
    ],
)
def test_a_refusal_says_what_it_is_and_what_to_send(data: object, words: str, tmp_path: Path) -> None:
    first = next(iter(data(tmp_path) if data is not hostile.safetensors_lies else data()))[1]  # type: ignore[operator]
    with pytest.raises(OmniError) as refused:
        read_onnx(first)
    assert words in refused.value.message
    assert "ONNX" in refused.value.message


def test_the_description_says_what_the_file_holds() -> None:
    found = read_onnx(onnx_files.linear([[1.0, 2.0], [3.0, 4.0]]))
    assert found.inputs == [Tensor("x", "float32", ("rows", 2))]
    assert found.outputs == [Tensor("y", "float32", ("rows", 2))]
    assert (found.parameters, found.operators, found.opsets) == (6, {"Gemm": 1}, {"": 17})
    assert found.producer == "tests"


def test_every_allowed_operator_is_one_of_onnx() -> None:
    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas_with_history()}
    for domain in ("", operators.ML_DOMAIN):
        assert {name for name in operators.ALLOWED[domain] if (domain, name) not in known} == set()


def test_typed_data_counts_like_raw_data() -> None:
    tensors = [
        helper.make_tensor("a", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]),
        helper.make_tensor("b", TensorProto.INT64, [2], [1, -(1 << 62)]),
        numpy_helper.from_array(np.array(["x", "y"], object), "c"),
        helper.make_tensor("d", TensorProto.DOUBLE, [1], [0.5]),
        helper.make_tensor("e", TensorProto.BOOL, [2], [True, False]),
    ]
    made = onnx_files.graph(
        [helper.make_node("Identity", ["x"], ["y"])], [onnx_files.value("x", [1])], [onnx_files.value("y", [1])]
    )
    made.initializer.extend(tensors)
    assert read_onnx(bytes(onnx_files.model(made).SerializeToString())).parameters == 10


SEEDS = (
    onnx_files.linear([[1.0, 2.0], [3.0, 4.0]], [0.5, 0.5]), onnx_files.looping(), onnx_files.centred(),
    onnx_files.identity(TensorProto.STRING),
)  # fmt: skip


def admitted(data: bytes) -> Description | None:
    """None for what is refused, by one of the two refusals."""
    try:
        return read_onnx(data)
    except OmniError as error:
        if error.code not in REFUSALS:
            raise
        return None


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(min_size=1, max_size=6)), max_size=4),
)
def test_whatever_is_changed_it_is_refused_or_read_as_onnx_reads_it(
    seed: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    """Bytes are replaced, put in or taken out. What passes is what ONNX's own reader sees: no two readers differ."""
    data = bytearray(seed)
    for at, how, new in edits:
        place = at % max(1, len(data))
        data[place : place + (0 if how == 1 else len(new))] = b"" if how == 2 else new
    found = admitted(bytes(data))
    if found is None:
        return
    parsed = onnx.load_model_from_string(bytes(data))
    assert [port.name for port in found.outputs] == [port.name for port in parsed.graph.output]
    assert found.operators.keys() >= {node.op_type for node in parsed.graph.node}
    assert not any(tensor.external_data or tensor.data_location for tensor in parsed.graph.initializer)
