"""What is refused of a request's head, because two readers could understand it differently."""

from __future__ import annotations

from urllib.parse import urlsplit

from omni.contracts.endpoints import ENDPOINTS
from omni.gateway.edge.exchange import Exchange
from omni.kit.errors import InvalidInput

_PASSED_HEADERS = frozenset(name.encode("ascii") for endpoint in ENDPOINTS for name in endpoint.passed_headers)
WANTED_HEADERS = _PASSED_HEADERS | frozenset((
    b"accept", b"anthropic-beta", b"authorization", b"cache-control", b"content-length", b"content-type", b"expect",
    b"host", b"idempotency-key", b"omni-delegation", b"omni-priority", b"omni-region", b"omni-tags", b"omni-timeout-ms",
    b"openai-beta", b"sec-websocket-key", b"sec-websocket-protocol", b"sec-websocket-version", b"traceparent",
    b"transfer-encoding", b"upgrade", b"x-api-key", b"x-forwarded-for",
))  # fmt: skip
"""What is read of a head."""
SINGLE_HEADERS = _PASSED_HEADERS | frozenset((
    b"authorization", b"content-type", b"expect", b"host", b"omni-delegation", b"sec-websocket-key",
    b"sec-websocket-version", b"transfer-encoding", b"upgrade", b"x-api-key",
))  # fmt: skip
"""What may be there once only."""


def malformed(detail: str) -> InvalidInput:
    """The answer to what is not HTTP as the gateway reads it."""
    return InvalidInput("malformed_request", "The request is not well-formed HTTP/1.1.", internal=detail)


def is_http_1_0(version: str) -> bool:
    """Of what is not 1.1. Raises InvalidInput for what is neither."""
    if version != "1.0":
        raise malformed("version")  # the parser knows 0.9 and 2.0, too
    return True


def check_head(exchange: Exchange) -> None:
    """Raises InvalidInput for what two readers could understand differently."""
    headers = exchange.headers
    encoding = headers.get(b"transfer-encoding")
    if encoding is not None and (encoding.lower() != b"chunked" or exchange.http_1_0):
        raise malformed("transfer-encoding")
    if b"host" not in headers and not exchange.http_1_0:
        raise malformed("no host")
    target = exchange.target
    if not target.startswith(b"/"):
        parts = urlsplit(target.decode("latin-1"))
        if parts.scheme not in ("http", "https") or not parts.path.startswith("/"):
            raise malformed("target")
        target = (parts.path + ("?" + parts.query if parts.query else "")).encode("latin-1")
        exchange.target = target
    if not target.isascii() or b"#" in target:
        raise malformed("target")
