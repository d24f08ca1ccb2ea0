"""Checks of numbers that came from outside, with the place of what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

from omni.inference.tabular.schemas import MAX_CELLS, MAX_MAGNITUDE
from omni.kit.errors import InvalidInput

MIN_POINTS = 8


def check_series(values: Sequence[float], param: str = "series.values") -> None:
    """Raises InvalidInput `series_too_short` or `value_not_usable`."""
    if len(values) < MIN_POINTS:
        raise InvalidInput(
            "series_too_short",
            f"The series has {len(values)} values; send at least {MIN_POINTS}.",
            param=param,
            minimum=MIN_POINTS,
        )
    check_numbers(values, param)


def check_rows(rows: Sequence[Sequence[float]]) -> None:
    """Raises InvalidInput `too_few_rows`, `too_many_values`, `rows_differ_in_length` or `value_not_usable`."""
    if len(rows) < MIN_POINTS:
        raise InvalidInput("too_few_rows", f"Send at least {MIN_POINTS} rows, not {len(rows)}.", param="rows")
    width = len(rows[0])
    if len(rows) * width > MAX_CELLS:
        raise InvalidInput("too_many_values", f"Send at most {MAX_CELLS} numbers in all.", param="rows")
    for index, row in enumerate(rows):
        if len(row) != width:
            raise InvalidInput(
                "rows_differ_in_length",
                f"rows[{index}] has {len(row)} numbers, rows[0] has {width}. Send rows of one length.",
                param=f"rows[{index}]",
            )
        check_numbers(row, f"rows[{index}]")


def check_numbers(values: Sequence[float], name: str) -> None:
    """Raises InvalidInput `value_not_usable`."""
    for index, value in enumerate(values):
        if not math.isfinite(value) or abs(value) > MAX_MAGNITUDE:
            raise InvalidInput(
                "value_not_usable",
                f"{name}[{index}] is not a finite number of at most {MAX_MAGNITUDE:.0e} in size. Replace it.",
                param=f"{name}[{index}]",
            )
