"""Header lines that a tenant adds to its answers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from omni.contracts.answer_headers import may_be_set

_VALUE = re.compile(r"[\x20-\x7e]*")


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """The lines of the headers that may be set."""
    return b"".join(
        [
            f"{name.lower()}: {value}\r\n".encode("ascii")
            for name, value in headers
            if may_be_set(name.lower()) and _VALUE.fullmatch(value) is not None
        ]
    )
