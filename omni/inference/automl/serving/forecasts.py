"""Forecasts by the model that a job chose, of the stored series and what came since. Loaded at first use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omni.inference.automl.serving.artifact import unpack
from omni.inference.automl.serving.members import BadArtifact
from omni.inference.tabular.forecasting import FIT_POINTS, Forecaster
from omni.inference.tabular.schemas import MAX_MAGNITUDE
from omni.kit.errors import InvalidInput

LEVEL = 90
SERIES = "series.json"


class Forecasts:
    """Fits the chosen model to the series again, with the newer observations."""

    def __init__(self) -> None:
        self._forecaster = Forecaster()

    def read(self, data: bytes) -> dict[str, Any]:
        """Series, model and horizon. Raises BadArtifact."""
        _, files = unpack(data)
        try:
            found = json.loads(files[SERIES])
            found["values"] = [float(value) for value in found["values"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BadArtifact(str(error)) from error
        return dict(found)

    def answer(
        self, series: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], check_time: Callable[[], object]
    ) -> dict[str, Any]:
        """The next steps after the series and the rows' values of the target, oldest first. Raises InvalidInput
        `value_not_usable` or `cannot_forecast`."""
        newer = [_observed(series["target"], row, place) for place, row in enumerate(rows)]
        values = [*series["values"], *newer][-FIT_POINTS:]
        found = self._forecaster.forecast(
            values, series["season_length"], series["horizon"], [LEVEL], series["model"], check_time
        )
        if found is None:
            raise InvalidInput("cannot_forecast", "The model cannot be fitted to these observations.", param="rows")
        lower, upper = found.bounds[LEVEL]
        predictions = [
            {
                "step": step + 1,
                "value": float(found.mean[step]),
                "lower": float(lower[step]),
                "upper": float(upper[step]),
            }
            for step in range(len(found.mean))
        ]
        return {
            "task": "forecasting", "model": found.model, "level": LEVEL, "newer_observations": len(newer),
            "predictions": predictions, "warnings": [],
        }  # fmt: skip


def _observed(target: str, row: Mapping[str, Any], place: int) -> float:
    value = row.get(target)
    if isinstance(value, bool | str) or value is None or not abs(value) <= MAX_MAGNITUDE:
        where = f"rows[{place}].{target}"
        raise InvalidInput("value_not_usable", f"{where} has to be the observed number.", param=where)
    return float(value)
