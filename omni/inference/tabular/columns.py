"""Rows of mixed cells as columns, checked, with the place of what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, Strict, StrictBool

from omni.inference.tabular.schemas import MAX_CELLS, MAX_FEATURES, MAX_MAGNITUDE
from omni.kit.errors import InvalidInput

MAX_TEXT = 200

Text = Annotated[str, Strict(), Field(max_length=MAX_TEXT)]
Cell = Annotated[float, Strict()] | Text | StrictBool
"""A number, or the name of a category; true and false are categories."""

MixedRow = Annotated[list[Cell], Field(min_length=1, max_length=MAX_FEATURES)]
ColumnNames = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]],
    Field(max_length=MAX_FEATURES, description="Names of the columns; none = `column 0`, `column 1`, …"),
]


@dataclass(frozen=True, slots=True)
class Column:
    """One of `numbers` and `categories` is filled."""

    name: str
    numbers: list[float]
    categories: list[str]

    @property
    def is_numeric(self) -> bool:
        return bool(self.numbers)


def column_names(given: Sequence[str] | None, width: int) -> list[str]:
    """The names, or made ones. Raises InvalidInput `columns_invalid` for a wrong number or one that comes twice."""
    if given is None:
        return [f"column {place}" for place in range(width)]
    if len(given) != width or len(set(given)) != width:
        raise InvalidInput(
            "columns_invalid",
            f"Send {width} different names, one for each cell of a row.",
            param="columns",
            width=width,
        )
    return list(given)


def check_shape(rows: Sequence[Sequence[object]], least: int, param: str = "rows") -> None:
    """Raises InvalidInput `too_few_rows`, `rows_differ_in_length` or `too_many_values`."""
    if len(rows) < least:
        raise InvalidInput("too_few_rows", f"Send at least {least} rows, not {len(rows)}.", param=param)
    width = len(rows[0])
    if len(rows) * width > MAX_CELLS:
        raise InvalidInput("too_many_values", f"Send at most {MAX_CELLS} cells in all.", param=param)
    for index, row in enumerate(rows):
        if len(row) != width:
            raise InvalidInput(
                "rows_differ_in_length",
                f"{param}[{index}] has {len(row)} cells, {param}[0] has {width}. Send rows of one length.",
                param=f"{param}[{index}]",
            )


def read_columns(
    rows: Sequence[Sequence[float | str | bool]], names: Sequence[str] | None, least: int, param: str = "rows"
) -> list[Column]:
    """The columns of at least `least` rows, each of numbers or of categories.

    Raises InvalidInput `too_few_rows`, `rows_differ_in_length`, `too_many_values`, `columns_invalid`,
    `column_is_mixed` or `value_not_usable`.
    """
    check_shape(rows, least, param)
    return [
        _column(name, [row[place] for row in rows], f"{param}[{{row}}][{place}]")
        for place, name in enumerate(column_names(names, len(rows[0])))
    ]


def _column(name: str, cells: list[float | str | bool], where: str) -> Column:
    numeric = not isinstance(cells[0], str | bool)
    for row, cell in enumerate(cells):
        if isinstance(cell, str | bool) == numeric:
            raise InvalidInput(
                "column_is_mixed",
                f"{where.format(row=row)}: the column {name!r} has numbers and other cells. Send one kind.",
                param=where.format(row=row),
            )
        if numeric and not is_usable(float(cell)):
            raise InvalidInput(
                "value_not_usable",
                f"{where.format(row=row)} is not a finite number of at most {MAX_MAGNITUDE:.0e} in size. Replace it.",
                param=where.format(row=row),
            )
    if numeric:
        return Column(name, [float(cell) for cell in cells], [])
    return Column(name, [], [str(cell).lower() if isinstance(cell, bool) else str(cell) for cell in cells])


def is_usable(number: float) -> bool:
    """Whether a number is finite and not larger than what engines can square and add."""
    return math.isfinite(number) and abs(number) <= MAX_MAGNITUDE
