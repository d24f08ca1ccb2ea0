"""What all client connections of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

from omni.gateway.config import GatewayConfig
from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.known_heads import KnownHeads
from omni.gateway.edge.routes import Routes

if TYPE_CHECKING:
    from omni.gateway.edge.server import ServerConnection


class Server:
    """Settings, routes, the pipeline's entry, known heads, and the clock of the date header."""

    def __init__(
        self, config: GatewayConfig, routes: Routes, run: Callable[[Exchange], None],
        run_upgrade: Callable[[Exchange], None],
    ) -> None:  # fmt: skip
        self.config = config
        self.routes = routes
        self.run = run
        self.run_upgrade = run_upgrade
        """For the request that asks for a WebSocket, as the last of its connection."""
        self.loop = asyncio.get_running_loop()
        self.connections: set[ServerConnection] = set()
        self.draining = False
        self.known_heads = KnownHeads()
        self.date = formatdate(usegmt=True).encode("ascii")

    def sweep(self, now: float) -> None:
        """Ends what takes too long; called a few times a second."""
        self.date = formatdate(usegmt=True).encode("ascii")
        for connection in list(self.connections):
            connection.sweep(now)

    def begin_drain(self) -> None:
        """From now on each answer is the last of its connection."""
        self.draining = True

    def close_idle(self) -> None:
        """Closes the connections that nobody is answered on."""
        for connection in list(self.connections):
            connection.close_if_idle()

    def abort(self) -> None:
        for connection in list(self.connections):
            connection.abort()
