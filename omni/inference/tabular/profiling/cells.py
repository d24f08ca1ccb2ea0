"""Columns of cells that may be missing, and what kind of thing they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from omni.inference.tabular.columns import check_shape, column_names, is_usable
from omni.inference.tabular.profiling.schemas import Kind
from omni.inference.tabular.schemas import MAX_MAGNITUDE
from omni.kit.errors import InvalidInput

Value = float | str | bool


@dataclass(frozen=True, slots=True)
class CellColumn:
    """`cells` in the order of the rows, None = missing."""

    name: str
    cells: list[Value | None]
    kind: Kind

    @property
    def present(self) -> list[Value]:
        return [cell for cell in self.cells if cell is not None]

    @property
    def numbers(self) -> list[float]:
        """The cells that are numbers."""
        return [float(cell) for cell in self.cells if not isinstance(cell, str | bool) and cell is not None]

    @property
    def texts(self) -> list[str]:
        """All that is present as text: true, false and numbers as JSON has them."""
        return [as_text(cell) for cell in self.present]


def read_cells(
    rows: Sequence[Sequence[Value | None]], names: Sequence[str] | None, least: int, param: str = "rows"
) -> list[CellColumn]:
    """The columns. Raises InvalidInput `too_few_rows`, `rows_differ_in_length`, `too_many_values`, `columns_invalid` or
    `value_not_usable`.
    """
    check_shape(rows, least, param)
    for place, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, float) and not is_usable(cell):
                raise InvalidInput(
                    "value_not_usable",
                    f"{param}[{place}][{column}] is not a finite number of at most {MAX_MAGNITUDE:.0e} in size. Send "
                    "null for what is missing.",
                    param=f"{param}[{place}][{column}]",
                )
    columns = []
    for place, name in enumerate(column_names(names, len(rows[0]))):
        cells = [row[place] for row in rows]
        columns.append(CellColumn(name, cells, _kind([cell for cell in cells if cell is not None])))
    return columns


def _kind(present: Sequence[Value]) -> Kind:
    kinds = {_kind_of(cell) for cell in present}
    if not kinds:
        return "empty"
    if len(kinds) > 1:
        return "mixed"
    (kind,) = kinds
    if kind == "number":
        return "integer" if all(float(cell).is_integer() for cell in present) else "number"
    if kind == "text" and all(time_of(str(cell)) is not None for cell in present):
        return "datetime"
    return kind


def _kind_of(cell: Value) -> Kind:
    if isinstance(cell, bool):
        return "boolean"
    return "text" if isinstance(cell, str) else "number"


def time_of(text: str) -> datetime | None:
    """What ISO 8601 says, as UTC where no zone is given; None for other text."""
    if len(text) < 8 or not text[:4].isdecimal() or "-" not in text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def as_text(cell: Value) -> str:
    """As JSON has it; whole numbers without a point."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str):
        return cell
    return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
