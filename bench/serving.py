"""Uploaded models in their processes: how long the first answer takes, the next ones, and what joining requests brings.

make bench-serving
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace
from uuid import UUID

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from prometheus_client import CollectorRegistry

from bench import Bar
from omni.contracts.principal import Principal
from omni.inference.registry.admission.onnx_file import read_onnx
from omni.inference.runtime.call import Call
from omni.inference.serving.lane import ServedModel
from omni.inference.serving.pool import ServingPool
from omni.inference.serving.process import ChildProcess
from omni.inference.serving.settings import MIB, ServingSettings
from omni.kit.clock import unix_micros
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import ServingMetrics

INPUTS, OUTPUTS = 64, 16
ALONE, TOGETHER, AT_ONCE = 500, 4_000, 64
JOINED_BAR = 2.0
MEMORY_BAR_MIB = 128.0


def model() -> bytes:
    """A linear model, so small that what surrounds it is what is measured."""
    weights = np.random.default_rng(0).normal(size=(INPUTS, OUTPUTS)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", OUTPUTS])],
        [numpy_helper.from_array(weights, "w")],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


def call_of(tenant_id: UUID) -> Call:
    """A call with an hour of time."""
    return Call(Principal(uuid7(), tenant_id, uuid7(), "test", None, unix_micros() + 3_600_000_000))


async def measure() -> list[Bar]:
    data, tenant_id = model(), uuid7()

    async def fetch() -> bytes:
        return data

    served = ServedModel(tenant_id, "joined", len(data), fetch, True)
    pool = ServingPool(ServingSettings(queue_limit=AT_ONCE), ServingMetrics(CollectorRegistry()))
    try:
        cold = await seconds_of_one(pool, served)
        alone = sorted([await seconds_of_one(pool, served) for _ in range(ALONE)])
        joined = await rate(pool, served)
        apart = await rate(pool, replace(served, name="apart", joinable=False))
    finally:
        await pool.close()
    process = await ChildProcess.start(ServingSettings().process_memory_bytes)
    memory = process.memory_bytes / MIB
    await process.close()
    return [
        shown("first answer of a version that rests", cold * 1_000, "ms"),
        shown("answer of a version at work, median", statistics.median(alone) * 1_000, "ms"),
        shown("answer of a version at work, p99", alone[int(0.99 * ALONE)] * 1_000, "ms"),
        shown(f"{AT_ONCE} at once, joined", joined, "answers/s"),
        shown(f"{AT_ONCE} at once, one by one", apart, "answers/s"),
        Bar(name="joined over one by one", value=round(joined / apart, 1), unit="", bar=JOINED_BAR,
            met=joined / apart >= JOINED_BAR),
        Bar(name="memory of a process without a model", value=round(memory, 1), unit="MiB", bar=MEMORY_BAR_MIB,
            met=memory <= MEMORY_BAR_MIB),
        shown("admission of a model, without its trial", admission_ms(data), "ms"),
    ]  # fmt: skip


async def seconds_of_one(pool: ServingPool, served: ServedModel) -> float:
    begun = time.perf_counter()
    await pool.run(call_of(served.tenant_id), served, {"x": np.ones((1, INPUTS), np.float32)}, 1)
    return time.perf_counter() - begun


async def rate(pool: ServingPool, served: ServedModel) -> float:
    """Answers a second with AT_ONCE requests open at any time."""
    await seconds_of_one(pool, served)
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with places:
            await seconds_of_one(pool, served)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(TOGETHER)))
    return TOGETHER / (time.perf_counter() - begun)


def admission_ms(data: bytes) -> float:
    begun = time.perf_counter()
    read_onnx(data)
    return (time.perf_counter() - begun) * 1_000


def shown(name: str, value: float, unit: str) -> Bar:
    """A figure without a bar."""
    return Bar(name=name, value=round(value, 2), unit=unit, bar=None, met=True)


def run() -> list[Bar]:
    """All figures."""
    return asyncio.run(measure())
