"""Bodies that go on as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator

from omni.gateway.edge.exchange import Exchange


async def pieces(exchange: Exchange) -> AsyncIterator[bytes]:
    """A request's body; the client is read on as it is taken. Raises what `Exchange.body` raises."""
    exchange.wants_body()
    while piece := await exchange.more():
        yield piece
