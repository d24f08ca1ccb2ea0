"""The logger that the gateway is handed: structlog's bound logger fits."""

from __future__ import annotations

from typing import Any, Protocol


class Logger(Protocol):
    """Structured log lines: an event name and key-value pairs."""

    def info(self, event: str, /, **values: Any) -> Any: ...

    def warning(self, event: str, /, **values: Any) -> Any: ...

    def error(self, event: str, /, **values: Any) -> Any: ...
