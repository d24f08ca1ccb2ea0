"""The process that reads one dataset's file: `python -m omni.inference.datasets.worker '{"format": …}' < file`.

Limits its own memory and CPU first. Writes one JSON line, `{"rows", "columns", "profile", "cpu_nanos"}` or
`{"refused": [code, message], "cpu_nanos"}`, then the table as Parquet.
"""

from __future__ import annotations

import json
import resource
import sys
import time


def main() -> None:
    """Reads the request from the arguments and the file from standard input."""
    request = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_seconds"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    data = sys.stdin.buffer.read()
    # After the limits are set, so that they hold for the libraries, too.
    from omni.inference.datasets.parsing import Refused  # noqa: PLC0415

    table = b""
    try:
        answer, table = _read(data, request["format"])
    except Refused as refusal:
        answer = {"refused": [refusal.code, refusal.message]}
    except MemoryError:
        answer = {"refused": ["dataset_too_large", "Reading the file takes too much memory. Split it."]}
    answer["cpu_nanos"] = time.process_time_ns()
    out = sys.stdout.buffer
    out.write(json.dumps(answer).encode("ascii") + b"\n")
    out.write(table)
    out.flush()


def _read(data: bytes, file_format: str) -> tuple[dict[str, object], bytes]:
    import pyarrow as pa  # noqa: PLC0415 as above
    import pyarrow.parquet  # noqa: PLC0415

    from omni.inference.datasets.looking import look  # noqa: PLC0415
    from omni.inference.datasets.parsing import parse  # noqa: PLC0415
    from omni.inference.datasets.typing import typed  # noqa: PLC0415

    table, columns = typed(parse(data, file_format))
    profile = look(table, columns)
    made = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, made, compression="zstd", row_group_size=65_536)
    answer: dict[str, object] = {
        "rows": table.num_rows,
        "columns": [column.model_dump() for column in columns],
        "profile": profile.model_dump(mode="json"),
    }
    return answer, made.getvalue().to_pybytes()


if __name__ == "__main__":
    main()
