"""Base forecasts of every node, reconciled. Loaded at first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from omni.inference.tabular.forecasting import Forecaster
from omni.inference.tabular.hierarchy.reconciliation import reconciled, summing_matrix
from omni.inference.tabular.hierarchy.schemas import HierarchicalRequest


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Lists [nodes][steps]: totals first, then series."""

    base: list[list[float]]
    forecast: list[list[float]]
    largest_gap: float


class Reconciler:
    """Forecasts and reconciles. Keeps nothing between calls."""

    def __init__(self) -> None:
        self._forecaster = Forecaster()
        self.name = self._forecaster.name

    def forecast(
        self,
        series: Sequence[Sequence[float]],
        totals: Sequence[Sequence[int]],
        season: int,
        request: HierarchicalRequest,
        check_time: Callable[[], object],
    ) -> Reconciled | None:
        """All nodes; None when a base forecast cannot be made. `check_time` stops the work by raising."""
        history = np.asarray(series, np.float64)
        summing = summing_matrix(totals, len(series))
        base, variances = [], []
        for values in summing @ history:
            made = self._forecaster.forecast(values.tolist(), season, request.horizon, [], request.model, check_time)
            if made is None:
                return None
            base.append(made.mean)
            variances.append(made.backtest.candidates[0].rmse or 0.0)
        forecasts = reconciled(np.array(base), summing, request.method, np.square(variances), history)
        sums = summing[: len(totals)] @ forecasts[len(totals) :]
        gap = float(np.max(np.abs(sums - forecasts[: len(totals)])))
        return Reconciled(np.array(base).tolist(), forecasts.tolist(), gap)
