"""Forecasts made to add up.

With y = S b (totals and series from series), reconciled forecasts are S G y: `bottom_up`, `top_down` and MinT differ in
G (Hyndman, Athanasopoulos, Forecasting: Principles and Practice, chapter 11; Wickramasuriya, Athanasopoulos, Hyndman
2019, JASA 114). MinT: G = (S' W^-1 S)^-1 S' W^-1, with W = I for ols and the errors' variances for wls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from omni.inference.tabular.hierarchy.schemas import Method

LEAST_VARIANCE = 1e-12  # of the largest


def summing_matrix(totals: Sequence[Sequence[int]], bottom: int) -> np.ndarray:
    """S, float64 [totals + bottom, bottom]: each total's places among the bottom series, then the series themselves."""
    sums = np.zeros((len(totals), bottom))
    for row, places in enumerate(totals):
        sums[row, list(places)] = 1
    return np.concatenate([sums, np.eye(bottom)])


def reconciled(
    base: np.ndarray, summing: np.ndarray, method: Method, variances: np.ndarray, history: np.ndarray
) -> np.ndarray:
    """Forecasts that add up, float64 [nodes, steps].

    `base`: float64 [nodes, steps], in the order of `summing`; `variances`: float64 [nodes], of the base forecasts'
    errors, for `mint_wls`; `history`: float64 [bottom, points], for the shares of `top_down`, whose first total sums
    all series.
    """
    nodes, bottom = summing.shape
    if method == "bottom_up":
        return np.asarray(summing @ base[nodes - bottom :])
    if method == "top_down":
        return np.asarray(summing @ (_shares(history)[:, None] * base[:1]))
    weights = np.ones(nodes)
    if method == "mint_wls" and variances.max() > 0:
        weights = 1 / np.maximum(variances / variances.max(), LEAST_VARIANCE)
    weighted = np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(weighted * summing, weighted * base, rcond=None)[0]
    return np.asarray(summing @ solution)


def _shares(history: np.ndarray) -> np.ndarray:
    """Mean of the shares of each step (Gross and Sohl 1990, method A), float64 [bottom]; steps that sum to 0 do not
    count, and without any other all have the same.
    """
    sums = history.sum(0)
    used = sums != 0
    if not used.any():
        return np.full(len(history), 1 / len(history))
    return np.asarray((history[:, used] / sums[used]).mean(1))
