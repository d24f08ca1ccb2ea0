"""Heads of requests that connections repeat. Clients send the same head with each request, but for the length of its
body: one that was read and accepted before need not be read again."""

from __future__ import annotations

from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.routes import Route
from omni.gateway.repeated_heads import RepeatedHead, around_length

_HEADS_LIMIT = 1_000


class KnownHead(RepeatedHead):
    """A request's head, and what was read from it."""

    __slots__ = ("digest", "headers", "method", "path", "route", "target")

    def __init__(self, before: bytes, after: bytes, exchange: Exchange, route: Route) -> None:
        super().__init__(before, after)
        self.method = exchange.method
        self.target = exchange.target
        self.path = exchange.path
        self.headers = {name: value for name, value in exchange.headers.items() if name != b"content-length"}
        self.route = route
        self.digest: str | None = None
        """SHA-256 of its credential, hex; empty = such requests do not take the express lane. None = nobody looked."""


class KnownHeads:
    """The heads of one process; connections of a client share one."""

    def __init__(self) -> None:
        self._heads: dict[tuple[bytes, bytes], KnownHead] = {}

    def learn(self, data: bytes, exchange: Exchange) -> KnownHead | None:
        """The head of a request that came whole, in `data` and alone; None for one that says more than a request for a
        model needs."""
        route = exchange.route
        plain = exchange.keep_alive and not exchange.http_1_0 and not exchange.expects_continue
        if route is None or route.operation is None or route.streamed or not plain or exchange.refusal is not None:
            return None
        name = around_length(data, exchange.body_bytes)
        if name is None:
            return None
        known = self._heads.get(name)
        if known is None:
            if len(self._heads) >= _HEADS_LIMIT:
                self._heads.clear()
            known = self._heads[name] = KnownHead(*name, exchange, route)
        return known
