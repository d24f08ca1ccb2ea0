"""Heads of requests that connections repeat. Clients send the same head with each request, but for the length of its
body: one that was read and accepted before need not be read again."""

from __future__ import annotations

import re

from omni.gateway.edge.exchange import Exchange
from omni.gateway.edge.routes import Route

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)(?=\r\n)", re.IGNORECASE)
_LENGTH_DIGITS = 12
_HEAD_MOST_BYTES = 4_096
_HEADS_LIMIT = 1_000


class KnownHead:
    """One head: the bytes before and after the digits of its content-length, and what was read from it."""

    __slots__ = ("after", "before", "digest", "headers", "method", "path", "route", "target")

    def __init__(self, before: bytes, after: bytes, exchange: Exchange, route: Route) -> None:
        self.before = before
        self.after = after
        self.method = exchange.method
        self.target = exchange.target
        self.path = exchange.path
        self.headers = {name: value for name, value in exchange.headers.items() if name != b"content-length"}
        self.route = route
        self.digest: str | None = None
        """SHA-256 of its credential, hex; empty = such requests do not take the express lane. None = nobody looked."""

    def body_in(self, data: bytes) -> bytes | None:
        """The body, where `data` is one whole request with this head and nothing else."""
        if not data.startswith(self.before):
            return None
        start, after = len(self.before), self.after
        end = data.find(b"\r", start, start + _LENGTH_DIGITS)
        if not data.startswith(after, end):
            return None
        body_at, digits = end + len(after), data[start:end]
        size = len(data) - body_at
        if not digits.isdigit() or int(digits) != size or size > self.route.max_body_bytes:
            return None
        return data[body_at:]


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
        end = data.find(b"\r\n\r\n") + 4
        lengths = list(_LENGTH.finditer(data, 0, end - 2))
        if len(lengths) != 1 or end > _HEAD_MOST_BYTES or len(data) - end != exchange.body_bytes:
            return None
        start, stop = lengths[0].span(1)
        name = data[:start], data[stop:end]
        known = self._heads.get(name)
        if known is None:
            if len(self._heads) >= _HEADS_LIMIT:
                self._heads.clear()
            known = self._heads[name] = KnownHead(*name, exchange, route)
        return known
