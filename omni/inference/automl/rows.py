"""Rows of a dataset as a model takes them, and as a file of predictions shows them. Loaded at first use."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet


class TableRows:
    """A dataset's rows."""

    def __init__(self, parquet: bytes, inputs: Sequence[str], keep: Sequence[str]) -> None:
        """Inputs that the dataset lacks are missing in every row."""
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(parquet))
        names = file.schema_arrow.names
        self._inputs = [name for name in names if name in set(inputs)]
        self._keep = list(keep)
        wanted = [name for name in names if name in {*self._inputs, *keep}]
        self._table = file.read(columns=wanted, use_threads=False)

    def inputs(self, start: int, size: int) -> list[dict[str, Any]]:
        """Up to `size` rows from `start` on; times are texts of ISO 8601."""
        rows = self._table.select(self._inputs).slice(start, size).to_pylist()
        return [{name: _plain(value) for name, value in row.items()} for row in rows]

    def written(self, start: int, answer: Mapping[str, Any], file_format: str) -> bytes:
        """The lines of an answer to rows from `start` on."""
        predictions, explanations = answer["predictions"], answer.get("explanations")
        kept = self._table.select(self._keep).slice(start, len(predictions)).to_pylist()
        if file_format == "csv":
            made = io.StringIO()
            writer = csv.writer(made, lineterminator="\n")
            for place, prediction in enumerate(predictions):
                own = [_plain(kept[place][name]) for name in self._keep] if self._keep else []
                writer.writerow([start + place, *own, *_flat(prediction).values()])
            return made.getvalue().encode()
        lines = []
        for place, prediction in enumerate(predictions):
            line: dict[str, Any] = {"row": start + place}
            if self._keep:
                line["kept"] = {name: _plain(kept[place][name]) for name in self._keep}
            line["prediction"] = prediction
            if explanations is not None:
                line["explanation"] = explanations[place]
            lines.append(orjson.dumps(line) + b"\n")
        return b"".join(lines)

    def header(self, answer: Mapping[str, Any], file_format: str) -> str:
        """The first line of a CSV file; nothing of JSON lines."""
        if file_format != "csv":
            return ""
        made = io.StringIO()
        names = ["row", *self._keep, *_flat(answer["predictions"][0])]
        csv.writer(made, lineterminator="\n").writerow(names)
        return made.getvalue()


def _flat(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """`probabilities` of classes as one column each."""
    found: dict[str, Any] = {}
    for name, value in prediction.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{each}": inner for each, inner in value.items()}
        else:
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
