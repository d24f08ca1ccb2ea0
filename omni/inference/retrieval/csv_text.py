"""The readable text of a CSV file: each row a line that names its columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from omni.kit.errors import InvalidInput, TooLarge

DELIMITERS = ",;\t|"
MAX_COLUMNS = 1_000
_ASK_EVERY_ROWS = 500
_STOPS = (".", "!", "?", "…")


def csv_text(text: str, max_text_bytes: int, seconds_left: Callable[[], float]) -> tuple[str, list[tuple[int, int]]]:
    """`name: Ljubljana; inhabitants: 295504.` for each row after the first, which names the columns; empty lines
    between them. With the text, the place of each row in it. Empty cells and empty rows are left out.

    The delimiter is the one of comma, semicolon, tab and bar that the first line has most of. Raises InvalidInput
    `broken_document`, TooLarge `document_text_too_large` or `document_too_complex`, and what `seconds_left` raises.
    """
    if len(text.encode("utf-8")) > max_text_bytes:
        raise _too_much_text(max_text_bytes)
    first_line = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    rows: list[str] = []
    places: list[tuple[int, int]] = []
    size = start = 0
    try:
        for number, cells in enumerate(reader):
            if number % _ASK_EVERY_ROWS == 0:
                seconds_left()
            if len(cells) > MAX_COLUMNS:
                raise TooLarge(
                    "document_too_complex", f"Row {number + 1} has more than {MAX_COLUMNS} columns. Split the file."
                )
            values = [" ".join(cell.split()) for cell in cells]
            if not any(values):
                continue
            if names is None:
                names = [value or f"column {column}" for column, value in enumerate(values, 1)]
                continue
            row = _sentence(names, values)
            size += len(row.encode("utf-8")) + 2
            if size > max_text_bytes:
                raise _too_much_text(max_text_bytes)
            rows.append(row)
            places.append((start, start + len(row)))
            start += len(row) + 2
    except csv.Error as error:
        raise InvalidInput(
            "broken_document",
            f"Line {reader.line_num} of the CSV file cannot be read: {error}. Check its quotes.",
            internal=str(error),
        ) from None
    return "\n\n".join(rows), places


def _sentence(names: list[str], values: list[str]) -> str:
    """The row as one sentence. A cell beyond the named columns is named by its number."""
    parts = [
        f"{names[column] if column < len(names) else f'column {column + 1}'}: {value}"
        for column, value in enumerate(values)
        if value
    ]
    row = "; ".join(parts)
    return row if row.endswith(_STOPS) else f"{row}."


def _too_much_text(limit: int) -> TooLarge:
    return TooLarge(
        "document_text_too_large",
        f"The document holds more than {limit} bytes of text, the names of the columns in each row counted. Split it.",
        max_bytes=limit,
    )
