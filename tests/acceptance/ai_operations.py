"""What an AI operation answers and counts when it is called through the gateway: cases are data, one list a family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True)
class Operation:
    """One call of a public route with a key."""

    method: str
    path: str
    """With `{name}` for what `prepare` makes."""
    body: Mapping[str, Any] | None
    """A member that is `{name}` stands for what `prepare` makes."""
    check: Callable[[Any], None]
    """Gets the decoded JSON answer, and asserts a value that was computed elsewhere."""
    meters: frozenset[str]
    """Meters that the usage report shows for it, besides `requests`."""
    status: int = 200
    prepare: Callable[[httpx2.Client], Mapping[str, str]] | None = None
    """Makes what the path and the body name; returns it by name."""
    files: Mapping[str, Any] | None = None
    """Sent as a multipart form, in place of the body."""

    def filled(self, names: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The body with what was made."""
        if self.body is None:
            return None
        return {
            member: value.format(**names) if isinstance(value, str) and value.startswith("{") else value
            for member, value in self.body.items()
        }
