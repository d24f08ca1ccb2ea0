"""A task: a dotted name and an idempotent body that takes ids."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message. The same message can be delivered again; its id stays."""

    message_id: UUID
    args: dict[str, Any]

    def uuid(self, name: str) -> UUID:
        """An argument that is an id."""
        return UUID(self.args[name])


@dataclass(frozen=True, slots=True)
class Task:
    """What runs when a message of this name arrives."""

    name: str
    body: Callable[[Delivery], Coroutine[Any, Any, None]]
    time_limit_seconds: int | None = None
    """After so long its process is ended; None = the queue's limit."""
