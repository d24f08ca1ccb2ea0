"""From a dataset's Parquet to a problem: which task, which features, which rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from omni.inference.automl.schemas import METRICS, AutomlRequest
from omni.inference.automl.serving.design import FeatureKind
from omni.inference.automl.training.problem import Problem, Task
from omni.inference.automl.training.refused import Refused
from omni.inference.tabular.profiling.cells import as_text

LEAST_ROWS, LEAST_OF_A_CLASS, MOST_CLASSES = 50, 8, 100
MOST_ROWS, MOST_CELLS = 50_000, 5_000_000
"""Of the rows that are trained on: so much is searched in slices of half a minute."""
FEW_NUMBERS = 10
MOST_CATEGORIES = 1_000
ID_ROWS = 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is trained on, and what there is to say about it."""

    problem: Problem
    why_task: str
    rows: int
    """With a value of the target."""
    without_target: int
    left_out: dict[str, str]
    """Column → why it is no feature."""


def infer_task(given: AutomlRequest, target: pa.ChunkedArray) -> tuple[Task, str]:
    """Classification or regression, and why."""
    if given.task in ("classification", "regression"):
        return given.task, "As asked."
    if not pa.types.is_floating(target.type):
        return "classification", "The target is no number."
    distinct = pc.unique(target.drop_null()).to_numpy()
    if len(distinct) <= FEW_NUMBERS and all(float(value).is_integer() for value in distinct):
        return "classification", f"The target has {len(distinct)} different values, all of them whole numbers."
    return "regression", "The target is a number with many different values."


def prepare(path: Path, given: AutomlRequest) -> Prepared:
    """Raises Refused."""
    table = pyarrow.parquet.read_table(path, use_threads=False)
    all_rows = table.num_rows
    table = table.filter(pc.is_valid(table.column(given.target)))
    target = table.column(given.target)
    task, why = infer_task(given, target)
    if table.num_rows < LEAST_ROWS:
        raise Refused("too_few_rows", f"{table.num_rows} rows have a target; training needs at least {LEAST_ROWS}.")
    left_out: dict[str, str] = {}
    kinds = list(_features(table, given, left_out))
    if not kinds:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:5])
        raise Refused("no_features", f"No column is left to predict from ({reasons})."[:400])
    values, classes = _target(task, target, given.target)
    rows = min(MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // len(kinds)))
    usable = table.num_rows
    if rows < usable:
        chosen = np.sort(np.random.default_rng(given.seed).permutation(usable)[:rows])
        table, values = table.take(pa.array(chosen)), values[chosen]
    if classes:
        _check_classes(values, classes)
    metric = given.metric or METRICS[task][0]
    if metric not in METRICS[task] or (metric == "roc_auc" and len(classes) != 2):
        raise Refused(
            "metric_unusable", f"{metric} is no metric of this {task}; send one of {', '.join(METRICS[task])}."
        )
    columns = {name: column_values(table.column(name), kind) for name, kind in kinds}
    problem = Problem(task, tuple(kinds), columns, values, tuple(classes), metric, given.seed)
    return Prepared(problem, why, usable, all_rows - usable, left_out)


def column_values(column: pa.ChunkedArray, kind: FeatureKind) -> np.ndarray:
    """As Design reads them."""
    if kind == "category":
        return np.array([None if cell is None else as_text(cell) for cell in column.to_pylist()], object)
    if kind == "timestamp":
        micros = pc.cast(column, pa.int64())
        return np.asarray(pc.cast(micros, pa.float64()).to_numpy(), np.float64) / 1e6
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(), np.float64)


def _features(table: pa.Table, given: AutomlRequest, left_out: dict[str, str]) -> Iterable[tuple[str, FeatureKind]]:
    for name in table.column_names:
        if name == given.target or (given.features is not None and name not in given.features):
            continue
        if name in given.exclude:
            left_out[name] = "excluded"
            continue
        column = table.column(name)
        distinct, present = pc.count_distinct(column).as_py(), len(column) - column.null_count
        text = pa.types.is_string(column.type)
        if distinct == 0:
            left_out[name] = "it has no values"
        elif distinct == 1 and present == len(column):
            left_out[name] = "it is constant"
        elif text and present >= ID_ROWS and distinct == present:
            left_out[name] = "every value is different, as in an id"
        elif text and distinct > MOST_CATEGORIES:
            left_out[name] = f"it has more than {MOST_CATEGORIES} different texts"
        elif text:
            yield name, "category"
        elif pa.types.is_timestamp(column.type):
            yield name, "timestamp"
        else:
            yield name, "boolean" if pa.types.is_boolean(column.type) else "number"


def _target(task: Task, target: pa.ChunkedArray, name: str) -> tuple[np.ndarray, list[str]]:
    if task == "regression":
        if not pa.types.is_floating(target.type):
            raise Refused("target_unusable", f"A regression needs a target of numbers; {name!r} is none.")
        values = target.to_numpy()
        if np.ptp(values) == 0:
            raise Refused("target_unusable", f"The target {name!r} has one value only: there is nothing to learn.")
        return np.asarray(values, np.float64), []
    if pa.types.is_timestamp(target.type):
        raise Refused("target_unusable", f"The target {name!r} is a time. Send a column of numbers or classes.")
    cells = [as_text(cell) for cell in target.to_pylist()]
    classes = sorted(set(cells), key=_class_order)
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise Refused(
            "target_unusable", f"The target {name!r} has {len(classes)} classes; 2 to {MOST_CLASSES} can be learnt."
        )
    place = {each: number for number, each in enumerate(classes)}
    return np.array([place[cell] for cell in cells], np.int64), classes


def _class_order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _check_classes(values: np.ndarray, classes: list[str]) -> None:
    counts = Counter(values.tolist())
    rare = min(range(len(classes)), key=lambda each: counts[each])
    if counts[rare] < LEAST_OF_A_CLASS:
        raise Refused(
            "class_too_rare",
            f"The class {classes[rare][:100]!r} has {counts[rare]} rows; each needs {LEAST_OF_A_CLASS}. Add rows, "
            "join it with another class, or leave its rows out.",
        )
