"""How well `auto` and `ensemble` of `/v1/forecasts` do against AutoETS and AutoARIMA alone, on series out of packages.

Each model forecasts the last three parts of a series, each from all values before it. `auto` takes for each part the
model that had the smallest mean absolute error over the three parts before, as it does for a request. MASE (Hyndman,
Koehler 2006) is the mean over the three. The bar is on the mean of `auto` over all series; single series are shown
without one. `ensemble` has none: a median cannot follow the one model that sees the cycle of the sunspots, and
AutoARIMA alone does better on the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from statsforecast.utils import AirPassengers
from statsmodels import datasets

from omni.inference.tabular.forecasting import CHEAPEST_FIRST, predicted_windows

WINDOWS = 3
LATEST = 400  # values of longer series
STEPS = {12: 12, 4: 8, 1: 6}


def series() -> Iterator[tuple[str, np.ndarray, int]]:
    """Name, values and season."""
    yield "AirPassengers", np.asarray(AirPassengers, float), 12
    monthly = datasets.co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    yield "co2, monthly", monthly.to_numpy(float), 12
    yield "elnino", datasets.elnino.load_pandas().data.drop(columns="YEAR").to_numpy(float).ravel(), 12
    yield "nile", datasets.nile.load_pandas().data["volume"].to_numpy(float), 1
    yield "sunspots", datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(float), 1
    macro = datasets.macrodata.load_pandas().data
    for name in ("realgdp", "realcons", "realinv", "cpi", "m1", "tbilrate", "unemp"):
        yield f"macrodata {name}", macro[name].to_numpy(float), 4


def run() -> list[dict[str, Any]]:
    """A row a series, then the means of `auto`, which has the bar, and of `ensemble`."""
    table, errors = [], []
    for name, values, season in series():
        errors.append(_errors(values[-LATEST:], season, STEPS[season]))
        table.append(_row("auto", name, "MASE, no bar", errors[-1], met=True))
    means = {model: float(np.mean([each[model] for each in errors])) for model in errors[0]}
    met = means["auto"] <= min(means["ets"], means["arima"])
    everything = f"mean of {len(errors)} series"
    return [
        *table,
        _row("auto", everything, "MASE", means, met),
        _row("ensemble", everything, "MASE, no bar", means, met=True),
    ]


def _errors(values: np.ndarray, season: int, steps: int) -> dict[str, float]:
    """MASE by model over the last WINDOWS parts."""
    parts = 2 * WINDOWS
    predicted: dict[str, list[np.ndarray]] = {}
    for each in CHEAPEST_FIRST:
        found = predicted_windows(each, values, season, (parts, steps), lambda: None)
        assert not isinstance(found, str), found
        predicted[each] = [window[0] for window in found]
    ends = [len(values) - (parts - part) * steps for part in range(parts)]
    misses = {
        model: [float(np.mean(np.abs(mean - values[end : end + steps]))) for mean, end in zip(means, ends, strict=True)]
        for model, means in predicted.items()
    }
    errors: dict[str, list[float]] = {model: [] for model in ("auto", "ensemble", "ets", "arima")}
    for part in range(WINDOWS, parts):
        end = ends[part]
        naive = float(np.mean(np.abs(values[:end][season:] - values[:end][:-season])))
        best = min(CHEAPEST_FIRST, key=lambda model: float(np.mean(misses[model][part - WINDOWS : part])))
        median = np.median([predicted[model][part] for model in CHEAPEST_FIRST], axis=0)
        of_median = float(np.mean(np.abs(median - values[end : end + steps])))
        for model, miss in (("auto", misses[best][part]), ("ensemble", of_median)):
            errors[model].append(miss / naive)
        for model in ("ets", "arima"):
            errors[model].append(misses[model][part] / naive)
    return {model: float(np.mean(parts_of)) for model, parts_of in errors.items()}


def _row(ours: str, dataset: str, metric: str, errors: dict[str, float], met: bool) -> dict[str, Any]:
    return {
        "task": f"forecasts, {ours}",
        "dataset": dataset,
        "metric": metric,
        "ours": round(errors[ours], 4),
        "references": {"AutoETS": round(errors["ets"], 4), "AutoARIMA": round(errors["arima"], 4)},
        "met": met,
    }
