"""Dense layers in 8-bit integers, for a network whose weights are known when its graph is built.

Activations are quantised with constant ranges, so a text's vector does not depend on what is in the batch with it. The
few channels that are far larger than the rest would take most of the 255 steps; they are multiplied in float32 beside
(LLM.int8(), Dettmers et al. 2022, https://arxiv.org/abs/2208.07339).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

RANGES_FILE = "minilm_ranges.json"
WEIGHT_STEPS, ACTIVATION_STEPS = 127, 255


@dataclass(frozen=True, slots=True)
class Range:
    """What the input of dense layers holds; `outliers` are the channels that stay float32, ascending."""

    low: float
    high: float
    outliers: tuple[int, ...]

    @property
    def scale(self) -> float:
        return (self.high - self.low) / ACTIVATION_STEPS

    @property
    def zero_point(self) -> int:
        return round(-self.low / self.scale)


@dataclass(frozen=True, slots=True)
class Weights:
    """One dense layer: the integers (int8 [inputs, outputs]) times their scales (float32 [outputs]), and the rows that
    stay float32 [outliers, outputs]."""

    integers: np.ndarray
    scales: np.ndarray
    outliers: np.ndarray


def read_ranges() -> dict[str, Range]:
    """The measured ranges, by the name of the tensor (tools/measure_minilm_ranges.py writes them)."""
    found = json.loads(files(__package__).joinpath(RANGES_FILE).read_bytes())
    return {name: Range(low, high, tuple(outliers)) for name, (low, high, outliers) in found.items()}


def quantized(matrix: np.ndarray, outliers: tuple[int, ...]) -> Weights:
    """A matrix (float32 [inputs, outputs]) in integers, each output with a scale of its own."""
    rest = matrix.copy()
    rest[list(outliers)] = 0
    scales = (np.maximum(np.abs(rest).max(0), np.finfo(np.float32).tiny) / WEIGHT_STEPS).astype(np.float32)
    return Weights(np.round(rest / scales).astype(np.int8), scales, matrix[list(outliers)])
