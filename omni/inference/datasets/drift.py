"""Two datasets as samples of one table, for the drift detector. Loaded at first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from omni.inference.datasets.looking import PROFILED_CELLS, cell_column
from omni.inference.datasets.schemas import Dataset
from omni.inference.tabular.profiling.cells import CellColumn
from omni.inference.tabular.profiling.drift import DriftDetector
from omni.inference.tabular.profiling.schemas import DriftResponse

MOST_ROWS = 20_000


class DatasetDrift:
    """Compares up to 20,000 rows, taken evenly, of each."""

    def __init__(self) -> None:
        self._detector = DriftDetector()

    def compare(
        self, sides: Sequence[tuple[Dataset, bytes]], names: Sequence[str], significance: float,
        check_time: Callable[[], object],
    ) -> DriftResponse:  # fmt: skip
        """Of the two sides, reference and current, each with its Parquet. All names are in both, with values."""
        reference, current = (_sample(dataset, parquet, names) for dataset, parquet in sides)
        check_time()
        return self._detector.compare(reference, current, significance, check_time)


def _sample(dataset: Dataset, parquet: bytes, names: Sequence[str]) -> list[CellColumn]:
    table = pyarrow.parquet.read_table(pa.BufferReader(parquet), columns=list(names), use_threads=False)
    rows = min(table.num_rows, MOST_ROWS, max(8, PROFILED_CELLS * 5 // len(names)))
    if rows < table.num_rows:
        table = table.take(pa.array(np.linspace(0, table.num_rows - 1, rows).astype(np.int64)))
    columns = {column.name: column for column in dataset.columns}
    return [cell_column(table, columns[name]) for name in names]
