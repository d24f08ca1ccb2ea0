"""Answers to requests: rows of JSON as columns, predictions, contributions. Loaded at first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from omni.inference.automl.schemas import MAX_EXPLAINED_ROWS
from omni.inference.automl.serving.artifact import read
from omni.inference.automl.serving.design import Columns, Feature
from omni.inference.automl.serving.explaining import explain
from omni.inference.automl.serving.model import Model
from omni.inference.tabular.profiling.cells import as_text, time_of
from omni.kit.errors import InvalidInput

MOST_EXPLAINED_CELLS = 20_000
Row = Mapping[str, Any]


class Answering:
    """Reads artifacts and answers with them. Keeps nothing between calls."""

    def read(self, data: bytes) -> Model:
        """Raises BadArtifact."""
        return read(data)

    def answer(
        self, model: Model, rows: Sequence[Row], explained: bool, check_time: Callable[[], object]
    ) -> dict[str, Any]:
        """The body of the answer. Raises InvalidInput `value_not_usable`, `no_features`, `too_much_to_explain`."""
        if explained and (
            len(rows) > MAX_EXPLAINED_ROWS or len(rows) * len(model.design.features) > MOST_EXPLAINED_CELLS
        ):
            raise InvalidInput(
                "too_much_to_explain",
                f"Up to {MAX_EXPLAINED_ROWS} rows, and {MOST_EXPLAINED_CELLS} of their features, are explained at "
                "once. Send fewer rows.",
                param="rows",
            )
        columns, warnings = to_columns(model.design.features, rows)
        check_time()
        coded = model.design.coded(columns)
        predicted = model.predict_coded(coded)
        if predicted.probabilities is None:
            predictions: list[dict[str, Any]] = [{"value": value} for value in predicted.scores[:, 0].tolist()]
        else:
            predictions = [_classified(model.classes, row) for row in predicted.probabilities.tolist()]
        body: dict[str, Any] = {"task": model.task, "predictions": predictions, "warnings": warnings}
        if explained:
            chosen = None if predicted.probabilities is None else predicted.probabilities.argmax(axis=1)
            body |= _explained(model, coded, chosen, check_time)
        return body


def to_columns(features: Sequence[Feature], rows: Sequence[Row]) -> tuple[Columns, list[dict[str, Any]]]:
    """Columns by feature, and what was missing, unknown or ignored. Raises InvalidInput."""
    names = {feature.name for feature in features}
    present: set[str] = set().union(*rows)
    if not present & names:
        raise InvalidInput(
            "no_features", f"No row has a feature of the model. Send some of: {', '.join(sorted(names)[:20])}.",
            param="rows",
        )  # fmt: skip
    columns: dict[str, np.ndarray] = {}
    warnings: list[dict[str, Any]] = []
    for feature in features:
        cells = [row.get(feature.name) for row in rows]
        values = [_value(feature, cell, place) for place, cell in enumerate(cells)]
        absent = sum(cell is None for cell in cells)
        if absent:
            warnings.append({"code": "missing_values", "feature": feature.name, "rows": absent})
        if feature.kind == "category":
            known = set(feature.categories)
            unknown = sum(value is not None and value not in known for value in values)
            if unknown:
                warnings.append({"code": "unknown_category", "feature": feature.name, "rows": unknown})
            columns[feature.name] = np.array(values, object)
        else:
            columns[feature.name] = np.array([np.nan if value is None else value for value in values], np.float64)
    warnings += [
        {"code": "ignored", "feature": name, "rows": sum(name in row for row in rows)}
        for name in sorted(present - names)
    ]
    return columns, warnings


def _value(feature: Feature, cell: Any, place: int) -> float | str | None:
    if cell is None:
        return None
    if feature.kind == "category":
        return as_text(cell)
    if feature.kind == "boolean" and isinstance(cell, bool):
        return float(cell)
    if feature.kind == "number" and not isinstance(cell, bool | str) and abs(cell) <= 1e15:
        return float(cell)
    if feature.kind == "timestamp" and isinstance(cell, str):
        moment = time_of(cell)
        if moment is not None:
            return moment.timestamp()
    wanted = {
        "boolean": "true or false", "number": "a finite number of at most 1e15 in size",
        "timestamp": "a date or time of ISO 8601 as text",
    }[feature.kind]  # fmt: skip
    where = f"rows[{place}].{feature.name}"
    raise InvalidInput("value_not_usable", f"{where} has to be {wanted}, or null.", param=where)


def _classified(classes: Sequence[str], probabilities: list[float]) -> dict[str, Any]:
    best = max(range(len(classes)), key=probabilities.__getitem__)
    shares = dict(zip(classes, probabilities, strict=True))
    return {"class": classes[best], "probability": probabilities[best], "probabilities": shares}


def _explained(
    model: Model, coded: np.ndarray, chosen: np.ndarray | None, check_time: Callable[[], object]
) -> dict[str, Any]:
    found = explain(model, coded, check_time)
    # Of two classes the log-odds: the difference between the two scores, which are measured from their mean.
    factor = 2.0 if len(model.classes) == 2 else 1.0
    names = [feature.name for feature in model.design.features]
    explanations = []
    for row in range(len(coded)):
        output = 0 if chosen is None else int(chosen[row])
        parts = (factor * found.by_feature[row, :, output]).tolist()
        base = factor * float(found.base[row, output])
        each: dict[str, Any] = {
            "base_value": base, "value": base + float(np.sum(parts)),
            "contributions": dict(zip(names, parts, strict=True)),
        }  # fmt: skip
        if chosen is not None:
            each["class"] = model.classes[output]
        explanations.append(each)
    scale = "value" if chosen is None else "log_odds" if factor == 2 else "log_probability"
    about = {
        "scale": scale, "methods": found.methods, "permutations": found.permutations,
        "before_calibration": model.calibration.method == "isotonic",
    }  # fmt: skip
    return {"explanations": explanations, "explanation": about}
