"""What a connection needs of the pool that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from omni.gateway.upstream.connection import BackendConnection


class ConnectionOwner(Protocol):
    """The pool that a connection goes back to."""

    def release(self, connection: BackendConnection) -> None:
        """It may serve another request."""
        ...

    def forget(self, connection: BackendConnection) -> None:
        """It is lost."""
        ...
