"""Forecasting: the order of the rows, the choice among statsforecast's models by rolling back-test."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from omni.inference.automl.schemas import AutomlRequest
from omni.inference.automl.serving.artifact import MANIFEST, VERSION, pack
from omni.inference.automl.serving.forecasts import LEVEL, SERIES
from omni.inference.automl.training.files import as_json, sha256
from omni.inference.automl.training.refused import Refused
from omni.inference.tabular.forecasting import FIT_POINTS, Forecaster

LEAST_POINTS = 12


def train(path: Path, given: AutomlRequest, check_time: Callable[[], object]) -> tuple[bytes, dict[str, Any]]:
    """The artifact, and what the job says about it. Raises Refused."""
    assert given.horizon is not None
    assert given.time_column is not None
    began = time.monotonic()
    values, facts = _series(path, given)
    metric = given.metric or "mae"
    if metric not in ("mae", "rmse"):
        raise Refused("metric_unusable", f"{metric} is no metric of forecasts; send mae or rmse.")
    forecaster = Forecaster()
    found = forecaster.forecast(values, given.season_length, given.horizon, [LEVEL], "auto", check_time)
    if found is None:
        raise Refused("cannot_forecast", "No model can be fitted to this series.")
    measured = [each for each in found.backtest.candidates if each.status == "measured" and each.model != "ensemble"]
    best = min(measured, key=lambda each: getattr(each, metric))
    series = {
        "target": given.target, "values": values[-FIT_POINTS:], "season_length": given.season_length,
        "horizon": given.horizon, "model": best.model,
    }  # fmt: skip
    leaderboard: list[dict[str, Any]] = [
        {
            "family": each.model, "score": getattr(each, metric, None), "deviation": None, "config": {},
            "status": each.status, "reason": each.reason, "mase": each.mase, "coverage_80": each.coverage_80,
        }
        for each in sorted(found.backtest.candidates, key=lambda each: getattr(each, metric) or np.inf)
    ]  # fmt: skip
    card = {
        "task": "forecasting", "metric": metric, "data": facts, "leaderboard": leaderboard,
        "evidence": f"Rolling back-test: {found.backtest.windows} windows of {found.backtest.horizon} steps.",
        "limits": ["One series; it is taken to have equal steps.", "Past 1,000 points only the latest are used."],
        "warnings": [], "seconds": time.monotonic() - began,
    }  # fmt: skip
    files = {SERIES: as_json(series)}
    manifest = {
        "artifact_version": VERSION, "task": "forecasting", "classes": [], "members": [],
        "engine": forecaster.name, "files": {name: sha256(content) for name, content in files.items()},
    }  # fmt: skip
    return pack({MANIFEST: as_json(manifest), **files}), {
        "task": "forecasting", "why_task": "A horizon was sent.", "metric": metric, "leaderboard": leaderboard,
        "metrics": {metric: getattr(best, metric)}, "card": card, "members": [{"family": best.model, "weight": 1.0}],
        "signature": {
            "inputs": [{"name": given.target, "kind": "number"}],
            "outputs": [{"name": given.target, "kind": "number", "steps": given.horizon}],
        },
    }  # fmt: skip


def _series(path: Path, given: AutomlRequest) -> tuple[list[float], dict[str, Any]]:
    table = pyarrow.parquet.read_table(path, columns=[given.target, given.time_column], use_threads=False)
    target, times = table.column(given.target), table.column(given.time_column)
    if not pa.types.is_floating(target.type):
        raise Refused("target_unusable", f"A forecast needs a target of numbers; {given.target!r} is none.")
    if not (pa.types.is_timestamp(times.type) or pa.types.is_floating(times.type)) or times.null_count:
        raise Refused("time_unusable", f"{given.time_column!r} needs a time or number in every row.")
    if pc.count_distinct(times).as_py() != table.num_rows:
        raise Refused("time_unusable", f"{given.time_column!r} has a time twice. Send one row for each time.")
    if target.null_count:
        raise Refused("target_unusable", f"{target.null_count} rows have no {given.target!r}. Fill them in.")
    if table.num_rows < LEAST_POINTS:
        raise Refused("too_few_rows", f"The series has {table.num_rows} rows; send at least {LEAST_POINTS}.")
    table = table.sort_by(given.time_column)
    first, last = pc.min_max(times).as_py().values()
    facts = {"rows": table.num_rows, "from": str(first), "to": str(last)}
    return table.column(given.target).to_pylist(), facts
