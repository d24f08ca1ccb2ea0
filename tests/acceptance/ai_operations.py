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
    """A value `{name}` stands for what `prepare` makes, too."""
    check: Callable[[Any], None]
    """Gets the decoded JSON answer, and asserts a value that was computed elsewhere."""
    meters: frozenset[str]
    """Meters that the usage report shows for it, besides `requests`."""
    status: int = 200
    prepare: Callable[[httpx2.Client], Mapping[str, str]] | None = None
    """Makes what the path names; returns the path's parameters."""

    def filled(self, names: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The body with what was made."""
        if self.body is None:
            return None
        places = {f"{{{name}}}": value for name, value in names.items()}
        return {key: places.get(value, value) if isinstance(value, str) else value for key, value in self.body.items()}
