"""A file's bytes as an Arrow table of flat columns. Runs in the reading process only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from omni.inference.datasets.schemas import MAX_CELLS, MAX_COLUMNS, MAX_NAME, MAX_ROWS

MAX_UNPACKED_BYTES = 512 * 1024 * 1024
DELIMITERS = (",", ";", "\t", "|")
MISSING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None"]
_HEADER_BYTES = 256 * 1024
_BOM = b"\xef\xbb\xbf"


class Refused(Exception):
    """The file will not be read: a code and a public text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def parse(data: bytes, file_format: str) -> pa.Table:
    """The table, its size and names checked. Raises Refused."""
    readers = {"csv": _csv, "parquet": _parquet, "jsonl": _json_lines}
    try:
        table = readers[file_format](data)
    except pa.ArrowException as error:
        # What Arrow says holds no more of the file than the cell that it cannot read.
        raise Refused(
            "broken_dataset", f"The file is no {file_format} that can be read: {_first_line(error)}"
        ) from None
    _check_names(table.column_names)
    check_size(table.num_rows, table.num_columns)
    return table


def check_size(rows: int, columns: int) -> None:
    """Raises Refused `empty_dataset` or `dataset_too_large`."""
    if rows == 0 or columns == 0:
        raise Refused("empty_dataset", "The file has no rows. Send a line of names, and at least one row.")
    if rows > MAX_ROWS or columns > MAX_COLUMNS or rows * columns > MAX_CELLS:
        raise Refused(
            "dataset_too_large",
            f"The table has {rows} rows and {columns} columns; at most {MAX_ROWS} rows, {MAX_COLUMNS} columns and "
            f"{MAX_CELLS} cells are read. Split it.",
        )


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise Refused("columns_invalid", "Two columns have the same name. Give each its own.")
    for place, name in enumerate(names):
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise Refused(
                "columns_invalid", f"Column {place + 1} needs a name of 1 to {MAX_NAME} printable characters."
            )


def _csv(data: bytes) -> pa.Table:
    data = data.removeprefix(_BOM)
    first = data[:_HEADER_BYTES].partition(b"\n")[0]
    if b"\x00" in first or not first.strip():
        raise Refused("broken_dataset", "The file's first line has no names of columns.")
    delimiter = max(DELIMITERS, key=lambda each: first.count(each.encode()))
    check_size(1, first.count(delimiter.encode()) + 1)
    if not _is_utf8(data):
        raise Refused("broken_dataset", "The file is not in UTF-8. Save it as UTF-8.")
    if len(first) == _HEADER_BYTES:
        raise Refused("broken_dataset", f"The file's first line is longer than {_HEADER_BYTES} bytes.")
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=4 * 1024 * 1024),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=MISSING, strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["true", "True", "TRUE"], false_values=["false", "False", "FALSE"],
        ),
    )  # fmt: skip


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parquet(data: bytes) -> pa.Table:
    file = pyarrow.parquet.ParquetFile(pa.BufferReader(data), page_checksum_verification=False)
    check_size(file.metadata.num_rows, file.metadata.num_columns)
    batches, unpacked = [], 0
    for batch in file.iter_batches(batch_size=16_384, use_threads=False):
        unpacked += batch.nbytes
        if unpacked > MAX_UNPACKED_BYTES:
            raise Refused("dataset_too_large", f"The file unpacks to more than {MAX_UNPACKED_BYTES} bytes. Split it.")
        batches.append(batch)
    return pa.Table.from_batches(batches, file.schema_arrow)


def _json_lines(data: bytes) -> pa.Table:
    columns: dict[str, list[Any]] = {}
    rows = 0
    for rows, (number, line) in enumerate(_lines(data), 1):
        row = _object(number, line)
        for name, value in row.items():
            if name not in columns:
                columns[name] = [None] * (rows - 1)
                check_size(rows, len(columns))
            columns[name].append(value)
        check_size(rows, max(1, len(columns)))
        if len(row) < len(columns):
            for values in columns.values():
                if len(values) < rows:
                    values.append(None)
    return pa.table({name: _array(values) for name, values in columns.items()})


def _object(number: int, line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = None
    if not isinstance(row, dict):
        raise Refused("broken_dataset", f"Line {number} is no JSON object. Send one object a line.")
    for name, value in row.items():
        if isinstance(value, dict | list):
            raise Refused(
                "broken_dataset", f"Line {number}: {name[:MAX_NAME]!r} holds a list or an object. Send flat rows."
            )
    return row


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.removeprefix(_BOM).splitlines(), 1):
        if line.strip():
            yield number, line


def _array(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pa.array(values, pa.bool_() if kinds else pa.null())
    if kinds == {int} and all(value is None or abs(value) <= 1 << 53 for value in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and float in kinds:
        return pa.array(
            [None if value is None or math.isnan(value) else float(value) for value in values], pa.float64()
        )
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _first_line(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0]
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
