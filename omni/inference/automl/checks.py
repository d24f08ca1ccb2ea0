"""Whether a request fits its dataset, before anything is trained."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from omni.inference.automl.schemas import METRICS, AutomlRequest
from omni.inference.datasets.schemas import Dataset
from omni.kit.errors import InvalidInput, NotConfigured

LEAST_ROWS = 12
Input = TypeVar("Input", bound=BaseModel)


def require_lightgbm() -> None:
    """Raises NotConfigured `engine_not_installed` where the training process could not load what it trains with."""
    found = importlib.util.find_spec("lightgbm")
    library = next(Path(found.origin).parent.rglob("lib_lightgbm.*"), None) if found and found.origin else None
    try:
        if library is None:
            raise OSError("lightgbm: no such package")
        ctypes.CDLL(str(library))
    except OSError as error:
        raise NotConfigured(
            "engine_not_installed",
            "The engine of this kind of job is not installed: lightgbm, or the system's library libgomp.so.1 (Debian's "
            "libgomp1), is missing on the server.",
            internal=str(error),
        ) from error


def read_input(model: type[Input], given: Mapping[str, Any]) -> Input:
    """The input of a job. Raises InvalidInput `invalid_job_input` with what is wrong and where."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "input"
        raise InvalidInput("invalid_job_input", f"{where}: {first['msg']}", param=where) from None


def check_columns(given: AutomlRequest, dataset: Dataset) -> None:
    """Raises InvalidInput `column_unknown`, `target_unusable`, `metric_unusable` or `too_few_rows`."""
    columns = {column.name: column for column in dataset.columns}
    named = {"target": [given.target], "features": given.features or [], "exclude": given.exclude,
             "time_column": [given.time_column] if given.time_column else []}  # fmt: skip
    for param, names in named.items():
        for name in names:
            if name not in columns:
                raise InvalidInput("column_unknown", f"The dataset has no column {name!r}.", param=param)
    target = columns[given.target]
    if target.type in ("empty", "timestamp"):
        raise InvalidInput(
            "target_unusable", f"The target {given.target!r} is {target.type}. Name a column of numbers or classes.",
            param="target",
        )  # fmt: skip
    numeric = given.horizon is not None or given.task in ("regression", "forecasting")
    if numeric and target.type != "number":
        raise InvalidInput(
            "target_unusable", f"This task needs a target of numbers; {given.target!r} is {target.type}.",
            param="target",
        )  # fmt: skip
    if given.task is not None and given.metric is not None and given.metric not in METRICS[given.task]:
        raise InvalidInput(
            "metric_unusable", f"{given.metric} is no metric of {given.task}: send one of "
            f"{', '.join(METRICS[given.task])}.", param="metric",
        )  # fmt: skip
    if dataset.rows - target.missing < LEAST_ROWS:
        raise InvalidInput("too_few_rows", "The dataset has too few rows with a target.", param="dataset_id")
