"""The profile of a table in Arrow, by the rules of `/v1/tabular/profile`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from omni.inference.datasets.schemas import ColumnType, DatasetColumn, DatasetProfile
from omni.inference.tabular.profiling.cells import CellColumn, Value
from omni.inference.tabular.profiling.problems import problems_of
from omni.inference.tabular.profiling.profile import duplicate_rows, profile_of
from omni.inference.tabular.profiling.schemas import Kind

PROFILED_CELLS = 200_000
_LONGEST_SHOWN = 200
_KINDS: dict[ColumnType, Kind] = {
    "number": "number", "boolean": "boolean", "category": "text", "text": "text", "timestamp": "datetime",
    "empty": "empty",
}  # fmt: skip


def look(table: pa.Table, columns: Sequence[DatasetColumn]) -> DatasetProfile:
    """The profile of all rows, or of as many as have 200,000 cells, taken evenly."""
    rows = min(table.num_rows, max(1, PROFILED_CELLS // table.num_columns))
    if rows < table.num_rows:
        table = table.take(pa.array(np.linspace(0, table.num_rows - 1, rows).astype(np.int64)))
    cells = [cell_column(table, column) for column in columns]
    profiles = [profile_of(column) for column in cells]
    for profile in profiles:
        if profile.text is not None:
            for common in profile.text.most_common:
                common.value = common.value[:_LONGEST_SHOWN].replace("\x00", "\ufffd")
    duplicates = duplicate_rows(cells)
    return DatasetProfile(
        profiled_rows=rows, duplicate_rows=duplicates, columns=profiles,
        problems=problems_of(cells, profiles, duplicates, None),
    )  # fmt: skip


def cell_column(table: pa.Table, column: DatasetColumn) -> CellColumn:
    """A column as the profiler and the drift detector read them. Times are texts of ISO 8601."""
    found: list[object] = table.column(column.name).to_pylist()
    cells: list[Value | None] = [_cell(value) for value in found]
    present = [cell for cell in cells if cell is not None]
    kind = _KINDS[column.type] if present else "empty"
    if kind == "number" and all(float(cell).is_integer() for cell in present):
        kind = "integer"
    return CellColumn(column.name, cells, kind)


def _cell(value: object) -> Value | None:
    if isinstance(value, datetime):
        return value.isoformat()
    assert value is None or isinstance(value, float | str | bool)
    return value
