"""Whether two samples of a table have the same distributions. Loaded at first use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from omni import __version__
from omni.inference.tabular.multiple import holm
from omni.inference.tabular.profiling.cells import CellColumn
from omni.inference.tabular.profiling.schemas import ColumnDrift, DriftResponse

BINS = 10
MODERATE, MAJOR = 0.1, 0.25  # PSI, the customary limits (Siddiqi 2006, Credit Risk Scorecards)
LEAST_EXPECTED = 5
VERDICTS: tuple[Literal["stable"], Literal["moderate"], Literal["major"]] = ("stable", "moderate", "major")


@dataclass(frozen=True, slots=True)
class _Measured:
    name: str
    kind: Literal["number", "category"]
    psi: float
    jensen_shannon: float
    statistic: float | None
    p_value: float | None
    missing: tuple[float, float]


class DriftDetector:
    """Compares samples. Keeps nothing between calls."""

    name = f"omni-{__version__}"

    def compare(
        self,
        reference: Sequence[CellColumn],
        current: Sequence[CellColumn],
        significance: float,
        check_time: Callable[[], object],
    ) -> DriftResponse:
        """All columns; those of numbers in both samples by Kolmogorov-Smirnov, others by chi-square. Each has values
        in both.
        """
        measured = []
        for before, after in zip(reference, current, strict=True):
            check_time()
            measured.append(_measured(before, after))
        tested = [each.p_value for each in measured if each.p_value is not None]
        corrected = iter(holm(tested))
        columns = [_judged(each, None if each.p_value is None else next(corrected), significance) for each in measured]
        drifted = sorted((each for each in columns if each.verdict != "stable"), key=lambda each: -each.psi)
        worst = max((VERDICTS.index(each.verdict) for each in columns), default=0)
        names = [each.name for each in drifted]
        return DriftResponse(engine=self.name, verdict=VERDICTS[worst], drifted=names, columns=columns)


def _measured(before: CellColumn, after: CellColumn) -> _Measured:
    missing = (1 - len(before.present) / len(before.cells), 1 - len(after.present) / len(after.cells))
    statistic: float | None
    p_value: float | None
    if {before.kind, after.kind} <= {"integer", "number"}:
        old, new = np.array(before.numbers), np.array(after.numbers)
        counts = _binned(old, new)
        found = stats.ks_2samp(old, new, method="asymp")
        statistic, p_value = float(found.statistic), float(found.pvalue)
    else:
        old_counts, new_counts = Counter(before.texts), Counter(after.texts)
        names = sorted(old_counts | new_counts)
        counts = np.array([[old_counts[name] for name in names], [new_counts[name] for name in names]], float)
        statistic, p_value = _chi_square(counts)
    kind: Literal["number", "category"] = "number" if {before.kind, after.kind} <= {"integer", "number"} else "category"
    return _Measured(before.name, kind, _psi(counts), _jensen_shannon(counts), statistic, p_value, missing)


def _binned(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Counts [2, bins] between the deciles of the old values; a value at an edge is in the bin above it."""
    edges = np.unique(np.quantile(old, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.stack(
        [np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) for values in (old, new)]
    ).astype(float)


def _chi_square(counts: np.ndarray) -> tuple[float | None, float | None]:
    expected = counts.sum(0) * counts.sum(1).min() / counts.sum()
    rare = expected < LEAST_EXPECTED
    table = counts[:, ~rare]
    if rare.any():
        table = np.column_stack([table, counts[:, rare].sum(1)])
    if table.shape[1] < 2:
        return None, None
    found = stats.chi2_contingency(table, correction=False)
    return float(found.statistic), float(found.pvalue)


def _psi(counts: np.ndarray) -> float:
    shares = (counts + 0.5) / (counts + 0.5).sum(1, keepdims=True)
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def _jensen_shannon(counts: np.ndarray) -> float:
    shares = counts / counts.sum(1, keepdims=True)
    middle = shares.mean(0)
    ratio = np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0)
    return float(np.clip(np.mean(np.sum(shares * np.log2(ratio), axis=1)), 0, 1))


def _judged(each: _Measured, adjusted: float | None, significance: float) -> ColumnDrift:
    significant = adjusted is not None and adjusted < significance
    degree = (each.psi >= MODERATE) + (each.psi >= MAJOR) if significant else 0
    return ColumnDrift(
        name=each.name,
        kind=each.kind,
        psi=each.psi,
        jensen_shannon=each.jensen_shannon,
        test="kolmogorov_smirnov" if each.kind == "number" else "chi_square",
        statistic=each.statistic,
        p_value=each.p_value,
        adjusted_p_value=adjusted,
        missing_reference=each.missing[0],
        missing_current=each.missing[1],
        verdict=VERDICTS[degree],
    )
