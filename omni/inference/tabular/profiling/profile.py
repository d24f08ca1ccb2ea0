"""The profile of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from omni.inference.tabular.profiling.cells import CellColumn, time_of
from omni.inference.tabular.profiling.schemas import (
    ColumnProfile,
    NumberSummary,
    Quantiles,
    TextSummary,
    TimeSummary,
    ValueCount,
)

FENCES = 1.5
MOST_COMMON = 10


def profile_of(column: CellColumn) -> ColumnProfile:
    """Counts and summaries of one column."""
    present = column.present
    profile = ColumnProfile(
        name=column.name,
        kind=column.kind,
        missing=len(column.cells) - len(present),
        distinct=len(set(column.texts)),
    )
    if column.kind in ("integer", "number"):
        profile.numbers = _numbers(np.array(column.numbers))
    elif column.kind == "datetime":
        times = sorted(time for time in map(time_of, column.texts) if time is not None)
        profile.times = TimeSummary(earliest=times[0].isoformat(), latest=times[-1].isoformat())
    elif column.kind != "empty":
        texts = column.texts
        lengths = [len(text) for text in texts]
        common = sorted(Counter(texts).items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_COMMON]
        profile.text = TextSummary(
            shortest=min(lengths),
            longest=max(lengths),
            most_common=[ValueCount(value=value, count=count) for value, count in common],
        )
    return profile


def duplicate_rows(columns: Sequence[CellColumn]) -> int:
    """How many rows have been there before."""
    rows = list(zip(*([(type(cell), cell) for cell in column.cells] for column in columns), strict=True))
    return len(rows) - len(set(rows))


def _numbers(values: np.ndarray) -> NumberSummary:
    p5, p25, p50, p75, p95 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    fence = FENCES * (p75 - p25)
    outside = np.count_nonzero((values < p25 - fence) | (values > p75 + fence))
    return NumberSummary(
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(values.mean()),
        standard_deviation=float(values.std(ddof=1)) if len(values) > 1 else None,
        quantiles=Quantiles(p5=p5, p25=p25, p50=p50, p75=p75, p95=p95),
        zeros=int(np.count_nonzero(values == 0)),
        negative=int(np.count_nonzero(values < 0)),
        outliers=int(outside),
    )
