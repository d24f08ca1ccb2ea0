"""How to look for changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["mean", "mean_and_variance"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to look: either `penalty`, None = BIC, or `count` for binary segmentation."""

    change: Change
    method: Literal["pelt", "binary_segmentation"]
    min_segment: int
    penalty: float | None = None
    count: int | None = None
