"""Trying an admitted file out, once, in a confined process: does it load, does it run, may its rows be joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from omni.inference.registry.admission.description import Description, Tensor
from omni.inference.runtime.call import NANOS_PER_MS, Call, deadline_exceeded
from omni.inference.serving.batching import join, split
from omni.inference.serving.pool import ServingPool
from omni.inference.serving.process import ModelFailed, ModelProcess, ProcessEnded, Ran
from omni.kit.errors import OmniError, Unprocessable

MAX_ELEMENTS = 16_000_000
SEED = 20_261_129
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What the trial showed."""

    load_cpu_ms: float
    run_cpu_ms: float
    memory_bytes: int
    joinable: bool
    """Whether rows were answered alike alone and together, on values drawn at random."""
    shapes: dict[str, list[int]]


class Trial(Protocol):
    """Tries a file out. Raises Unprocessable `model_does_not_run`."""

    async def __call__(
        self, call: Call, data: bytes, described: Description, dimensions: Mapping[str, int]
    ) -> TrialResult: ...


class ProcessTrial:
    """Tries files out in a process of the pool's."""

    def __init__(self, serving: ServingPool) -> None:
        self._serving = serving

    async def __call__(
        self, call: Call, data: bytes, described: Description, dimensions: Mapping[str, int]
    ) -> TrialResult:
        """Raises Unprocessable `model_does_not_run` and what the pool raises."""
        shapes = {port.name: _shape(port, dimensions) for port in described.inputs}
        zeros = {port.name: _zeros(port, shapes[port.name]) for port in described.inputs}
        try:
            async with self._serving.trial(call, data) as (process, loaded):
                ran = await self._run(call, process, zeros)
                _check_outputs(described, ran)
                joinable = await self._is_joinable(call, process, described, shapes)
                return TrialResult(
                    loaded.cpu_nanos / NANOS_PER_MS,
                    ran.cpu_nanos / NANOS_PER_MS,
                    process.memory_bytes,
                    joinable,
                    shapes,
                )
        except ModelFailed as error:
            raise does_not_run(error.text) from None
        except ProcessEnded as error:
            if error.args[0] == "time":
                raise deadline_exceeded() from None
            raise does_not_run(ENDED[error.args[0]]) from None

    async def _run(self, call: Call, process: ModelProcess, inputs: Mapping[str, np.ndarray]) -> Ran:
        settings = self._serving.settings
        ran = await process.run(inputs, settings.cpu_seconds, self._serving.seconds(call))
        call.usage.compute_nanos += max(1, ran.cpu_nanos)
        return ran

    async def _is_joinable(
        self, call: Call, process: ModelProcess, described: Description, shapes: Mapping[str, list[int]]
    ) -> bool:
        if not _may_be_joinable(described):
            return False
        random = np.random.default_rng(SEED)
        samples = [{port.name: _sample(port, shapes[port.name], random) for port in described.inputs} for _ in range(3)]
        rows = [next(iter(sample.values())).shape[0] for sample in samples]
        try:
            alone = [(await self._run(call, process, sample)).outputs for sample in samples]
            together = split((await self._run(call, process, join(samples))).outputs, rows)
        except ModelFailed:
            return False
        return together is not None and all(map(_equal, alone, together))


ENDED = {
    "cpu": "It took more CPU time than a request may take.",
    "crash": "It ended the process that it ran in.",
    "killed": "Its process was ended from outside, as happens when the machine has no memory left.",
}
"""Why a process ended → the sentence."""


def does_not_run(why: str) -> OmniError:
    return Unprocessable(
        "model_does_not_run",
        f"The model was tried out with zeros and did not run: {why} If a dimension must be longer than 1, give its "
        "length in `dimensions`.",
    )


def _shape(port: Tensor, dimensions: Mapping[str, int]) -> list[int]:
    if port.shape is None:
        raise does_not_run(f"Input {port.name!r} has no shape. Export it with one.")
    shape = [side if isinstance(side, int) else dimensions.get(side, 1) if side else 1 for side in port.shape]
    if np.prod(shape, dtype=np.float64) > MAX_ELEMENTS:
        raise does_not_run(f"Input {port.name!r} has more than {MAX_ELEMENTS} elements.")
    return shape


def _zeros(port: Tensor, shape: Sequence[int]) -> np.ndarray:
    return np.full(shape, "", object) if port.dtype == "string" else np.zeros(shape, port.dtype)


def _sample(port: Tensor, shape: Sequence[int], random: np.random.Generator) -> np.ndarray:
    """Numbers from a normal distribution, or zeros and ones where others may be out of range."""
    if port.dtype.startswith("float"):
        return random.normal(size=shape).astype(port.dtype)
    bits = random.integers(0, 2, size=shape)
    return np.where(bits, "b", "a").astype(object) if port.dtype == "string" else bits.astype(port.dtype)


def _check_outputs(described: Description, ran: Ran) -> None:
    for port in described.outputs:
        if port.name not in ran.outputs:
            raise does_not_run(f"Output {port.name!r} did not come out.")


def _may_be_joinable(described: Description) -> bool:
    """Every input begins with the same side, which is free, and so does every output."""
    sides = [port.shape[0] if port.shape else 0 for port in described.inputs]
    outputs = [port.shape[0] if port.shape else 0 for port in described.outputs if port.shape is not None]
    return len(set(sides)) == 1 and not isinstance(sides[0], int) and not any(isinstance(side, int) for side in outputs)


def _equal(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> bool:
    for name, array in first.items():
        other = second[name]
        if array.shape != other.shape:
            return False
        if array.dtype.kind == "f":
            if not np.allclose(array, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
                return False
        elif not np.array_equal(array, other):
            return False
    return True
