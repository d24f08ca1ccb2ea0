"""From cells to matrices, by rules that were learnt from the training rows and are stored as JSON.

Two matrices: `coded` for boosted trees (numbers as they are, categories as codes, NaN = missing or unknown), and
`dense` for all others, made of the coded one (imputed, standardised, categories as indicators, missing ones with an
indicator of their own).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

FeatureKind = Literal["number", "boolean", "category", "timestamp"]
Columns = Mapping[str, np.ndarray]
"""Name → values, all of one length. Numbers and booleans: float64 with NaN for missing; timestamps: Unix seconds as
float64; categories: object, None for missing."""

MOST_CATEGORIES = 254
"""Of one column that are told apart; the rarest beyond are treated like unknown ones."""
MOST_INDICATORS = 64
CLIP = 8.0
"""Standard deviations at which dense numbers are cut: no single value rules a linear model."""
DAY_SECONDS = 86_400
TIME_PARTS = ("day", "month", "weekday", "hour")


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the dataset that models see."""

    name: str
    kind: FeatureKind
    categories: list[str] = field(default_factory=list)
    """Most frequent first; the code is the place."""

    @property
    def width(self) -> int:
        return len(TIME_PARTS) if self.kind == "timestamp" else 1


@dataclass(frozen=True, slots=True)
class Scale:
    """How one column of `coded` becomes columns of `dense`."""

    median: float = 0.0
    mean: float = 0.0
    deviation: float = 1.0
    indicators: int = 0
    """Of a category: how many codes have one. 0 for numbers."""
    missing: bool = False
    """Whether missing ones have an indicator."""


@dataclass(frozen=True, slots=True)
class Design:
    """The rules of one model."""

    features: list[Feature]
    scales: list[Scale]
    """One for each column of `coded`."""

    @property
    def coded_features(self) -> np.ndarray:
        """int [coded width]: the feature of each column."""
        return np.repeat(np.arange(len(self.features)), [feature.width for feature in self.features])

    @property
    def categorical(self) -> list[int]:
        """Columns of `coded` that hold codes without an order."""
        kinds = [feature.kind for feature in self.features for _ in range(feature.width)]
        return [place for place, kind in enumerate(kinds) if kind == "category"]

    @property
    def dense_columns(self) -> np.ndarray:
        """int [dense width]: the column of `coded` that each was made of."""
        widths = [(scale.indicators or 1) + scale.missing for scale in self.scales]
        return np.repeat(np.arange(len(self.scales)), widths)

    def coded(self, columns: Columns) -> np.ndarray:
        """float64 [rows, coded width]."""
        parts = [_coded(feature, columns[feature.name]) for feature in self.features]
        return np.concatenate(parts, axis=1)

    def dense(self, coded: np.ndarray) -> np.ndarray:
        """float64 [rows, dense width], nothing missing."""
        parts: list[np.ndarray] = []
        for column, scale in zip(coded.T, self.scales, strict=True):
            absent = np.isnan(column)
            if scale.indicators:
                parts.append((column[:, None] == np.arange(scale.indicators)).astype(np.float64))
            else:
                filled = np.where(absent, scale.median, column)
                parts.append(np.clip((filled - scale.mean) / scale.deviation, -CLIP, CLIP)[:, None])
            if scale.missing:
                parts.append(absent.astype(np.float64)[:, None])
        return np.concatenate(parts, axis=1)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Design:
        """Raises KeyError, TypeError or ValueError for what is none."""
        design = cls([Feature(**each) for each in found["features"]], [Scale(**each) for each in found["scales"]])
        if len(design.scales) != sum(feature.width for feature in design.features):
            raise ValueError("there is not one scale for each column")
        return design


def learn(kinds: Sequence[tuple[str, FeatureKind]], columns: Columns) -> Design:
    """The rules for these columns, from the training rows."""
    features = [Feature(name, kind, _categories(columns[name]) if kind == "category" else []) for name, kind in kinds]
    scales: list[Scale] = []
    for feature in features:
        coded = _coded(feature, columns[feature.name])
        scales += [_scale(column, feature.kind == "category", len(feature.categories)) for column in coded.T]
    return Design(features, scales)


def _categories(values: np.ndarray) -> list[str]:
    counts = Counter(value for value in values if value is not None)
    return [name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))][:MOST_CATEGORIES]


def _coded(feature: Feature, values: np.ndarray) -> np.ndarray:
    if feature.kind == "category":
        codes = {name: float(place) for place, name in enumerate(feature.categories)}
        return np.array([codes.get(value, np.nan) for value in values], np.float64)[:, None]
    if feature.kind == "timestamp":
        return _time_parts(np.asarray(values, np.float64))
    return np.asarray(values, np.float64)[:, None]


def _time_parts(seconds: np.ndarray) -> np.ndarray:
    """Days since 1970, month, weekday from Monday = 0, and hour, in UTC."""
    known = np.isfinite(seconds)
    days = np.floor(np.where(known, seconds, 0) / DAY_SECONDS)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    hours = (np.where(known, seconds, 0) - days * DAY_SECONDS) / 3_600
    parts = np.stack([days + hours / 24, months, (days + 3) % 7, np.floor(hours)], axis=1)
    parts[~known] = np.nan
    return parts


def _scale(column: np.ndarray, category: bool, categories: int) -> Scale:
    present = column[np.isfinite(column)]
    missing = len(present) < len(column)
    if category:
        return Scale(indicators=max(1, min(categories, MOST_INDICATORS)), missing=missing)
    if not len(present):
        return Scale(missing=missing)
    median = float(np.median(present))
    filled = np.where(np.isfinite(column), column, median)
    deviation = float(filled.std())
    return Scale(median, float(filled.mean()), deviation if deviation > 0 else 1.0, 0, missing)
