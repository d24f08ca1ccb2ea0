"""What opens a transaction of the worker."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from omni.foundation.db.sessions import SystemSession


class OpenSystemSession(Protocol):
    """Opens a transaction that sees all tenants."""

    def __call__(self) -> AbstractAsyncContextManager[SystemSession]: ...
