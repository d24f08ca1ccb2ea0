"""Usage as a file, made while it is sent."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from omni.domains.metering.contracts import UsagePoint
from omni.domains.metering.rules.quantities import DECIMALS, to_decimal, to_text

if TYPE_CHECKING:
    import pyarrow

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_ROWS_AT_ONCE = 5_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Points = AsyncIterator[UsagePoint]


async def csv_file(points: Points, dimensions: Sequence[str]) -> AsyncIterator[bytes]:
    """A header, then a line for each group and window. Text that a spreadsheet would take for a formula gets a quote
    in front."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["start", "meter", *dimensions, "quantity", "events"])
    async for point in points:
        values = [_harmless(value) for _, value in point.dimensions]
        writer.writerow([point.start.isoformat(), point.meter, *values, to_text(point.quantity), point.events])
        if buffer.tell() > 65_536:
            yield _taken(buffer)
    yield _taken(buffer)


async def parquet_file(points: Points, dimensions: Sequence[str]) -> AsyncIterator[bytes]:
    """The same columns; quantities are decimals of 38 digits, 12 of them after the point."""
    import pyarrow  # noqa: PLC0415 - large, and most processes export nothing
    import pyarrow.parquet  # noqa: PLC0415

    schema = pyarrow.schema(
        [
            ("start", pyarrow.timestamp("us", tz="UTC")),
            ("meter", pyarrow.string()),
            *[(name, pyarrow.string()) for name in dimensions],
            ("quantity", pyarrow.decimal128(38, DECIMALS)),
            ("events", pyarrow.int64()),
        ]
    )
    sink = _Sink()
    rows: list[tuple[object, ...]] = []
    with pyarrow.parquet.ParquetWriter(sink, schema) as writer:
        async for point in points:
            values = [value for _, value in point.dimensions]
            rows.append((point.start, point.meter, *values, to_decimal(point.quantity), point.events))
            if len(rows) >= _ROWS_AT_ONCE:
                writer.write_table(_table(rows, schema))
                rows = []
                yield sink.taken()
        writer.write_table(_table(rows, schema))
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Collects what is written until it is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _table(rows: list[tuple[object, ...]], schema: pyarrow.Schema) -> pyarrow.Table:
    import pyarrow  # noqa: PLC0415 - as above

    columns = [pyarrow.array([row[number] for row in rows], field.type) for number, field in enumerate(schema)]
    return pyarrow.Table.from_arrays(columns, schema=schema)


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data


def _harmless(text: str) -> str:
    """(OWASP, CSV injection)"""
    return f"'{text}" if text.startswith(_FORMULA) else text


WRITERS: dict[str, Callable[[Points, Sequence[str]], AsyncIterator[bytes]]] = {
    "csv": csv_file,
    "parquet": parquet_file,
}
