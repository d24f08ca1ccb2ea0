"""What is known of customers' purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Purchases:
    """float64 [customers] each: repeat purchases, time of the last one, time observed."""

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
