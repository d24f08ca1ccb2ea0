"""What each column holds, and the table as it is kept: numbers as doubles, text as text, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from omni.inference.datasets.parsing import Refused
from omni.inference.datasets.schemas import ColumnType, DatasetColumn
from omni.inference.tabular.profiling.cells import time_of
from omni.inference.tabular.schemas import MAX_MAGNITUDE

MOST_CATEGORIES, FEW_CATEGORIES, CATEGORY_SHARE = 1_000, 50, 0.2
LONGEST_CATEGORY = 200
LONGEST_TEXT = 100_000
EXACT = 1 << 53
"""Whole numbers up to here are exact as doubles."""
TIME = pa.timestamp("us", "UTC")
_LOOKED_AT = 100


def typed(table: pa.Table) -> tuple[pa.Table, list[DatasetColumn]]:
    """The table as it is kept, and its columns. Raises Refused `unsupported_column` or `value_not_usable`."""
    arrays, columns = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        array = _plain(name, column.combine_chunks())
        array, kind, distinct = _kept(name, array)
        arrays.append(array)
        columns.append(DatasetColumn(name=name, type=kind, missing=array.null_count, distinct=distinct))
    return pa.table(arrays, names=table.column_names), columns


def _plain(name: str, array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One of null, bool, double, string and timestamp."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return array
    try:
        if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            return _numbers(array)
        if pa.types.is_floating(kind):
            return pc.cast(array, pa.float64())
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return _times(array)
        if pa.types.is_time(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            array = pc.cast(array, pa.string())
            array.validate(full=True)
            return array
    except pa.ArrowInvalid as error:
        raise Refused(
            "value_not_usable", f"The column {name!r} has values that cannot be kept: {error}"[:300]
        ) from None
    raise Refused(
        "unsupported_column", f"The column {name!r} holds {kind}. Send numbers, text, true/false, dates or times."[:300]
    )


def _numbers(array: pa.Array) -> pa.Array:
    if pa.types.is_decimal(array.type):
        return pc.cast(array, pa.float64())
    bounds = pc.min_max(array)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    if least is not None and (least < -EXACT or most > EXACT):
        return pc.cast(array, pa.string())
    return pc.cast(array, pa.float64())


def _times(array: pa.Array) -> pa.Array:
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("us"))
    if array.type.tz is None:
        return pc.cast(pc.cast(array, pa.timestamp("us")), TIME)
    return pc.cast(array, TIME)


def _kept(name: str, array: pa.Array) -> tuple[pa.Array, ColumnType, int]:
    """The column as it is kept, its type, and how many different values it has."""
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
        sizes = pc.max(pc.abs(array)).as_py()
        if sizes is not None and not sizes <= MAX_MAGNITUDE:
            raise Refused(
                "value_not_usable", f"The column {name!r} has numbers larger than {MAX_MAGNITUDE:.0e}. Replace them."
            )
    if array.null_count == len(array):
        return pa.nulls(len(array), pa.string()), "empty", 0
    if pa.types.is_string(array.type):
        longest = pc.max(pc.utf8_length(array)).as_py()
        if longest > LONGEST_TEXT:
            raise Refused("value_not_usable", f"The column {name!r} has a text of {longest} characters. Leave it out.")
        array = _texts_as_times(array)
    distinct = pc.count_distinct(array).as_py()
    if pa.types.is_boolean(array.type):
        return array, "boolean", distinct
    if pa.types.is_timestamp(array.type):
        return array, "timestamp", distinct
    if pa.types.is_floating(array.type):
        return array, "number", distinct
    few = distinct <= min(MOST_CATEGORIES, max(FEW_CATEGORIES, CATEGORY_SHARE * len(array)))
    return array, "category" if few and longest <= LONGEST_CATEGORY else "text", distinct


def _texts_as_times(array: pa.Array) -> pa.Array:
    """Timestamps, when every text is a date or time of ISO 8601; else the texts."""
    first = array.drop_null()[:_LOOKED_AT].to_pylist()
    if any(_moment(text) is None for text in first):
        return array
    moments = [None if text is None else _moment(text) for text in array.to_pylist()]
    if sum(moment is None for moment in moments) > array.null_count:
        return array
    return pa.array(moments, TIME)


def _moment(text: str) -> datetime | None:
    found = time_of(text)
    return None if found is None else found.astimezone(UTC)
