"""The opening handshake of a WebSocket (RFC 6455, section 4), strict: whatever is unusual about it is refused."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from omni.kit.errors import InvalidInput

PATH = b"/v1/realtime"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
_SUBPROTOCOL = b"realtime"
_BROWSER_KEY = b"openai-insecure-api-key."
_BROWSER_BETA = b"openai-beta.realtime-v1"
_BETA = b"realtime=v1"
_BODY_HEADERS = (b"content-length", b"transfer-encoding", b"expect")
_MODEL_LETTERS = 200


def accept_key(key: bytes) -> bytes:
    """What answers a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def is_opening(method: bytes, target: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request that asks to switch protocols is the one that may.

    That its `Connection` header has the token `upgrade` is what its parser has said already.
    """
    return (
        method == b"GET"
        and target.partition(b"?")[0] == PATH
        and headers.get(b"upgrade", b"").lower() == b"websocket"
        and headers.get(b"sec-websocket-version") == b"13"
        and _KEY.fullmatch(headers.get(b"sec-websocket-key", b"")) is not None
        and not any(name in headers for name in _BODY_HEADERS)
    )


class Opening:
    """What a client asks for in its opening handshake."""

    __slots__ = ("_key", "_offers_realtime", "beta", "model")

    def __init__(self, target: bytes, headers: dict[bytes, bytes]) -> None:
        """Raises InvalidInput. A key in the form that browsers use becomes the authorization header."""
        self._key = headers[b"sec-websocket-key"]
        offered = [each.strip() for each in headers.get(b"sec-websocket-protocol", b"").split(b",")]
        self._offers_realtime = _SUBPROTOCOL in offered
        self.beta = headers.get(b"openai-beta") == _BETA or _BROWSER_BETA in offered
        """Whether events are wanted in the shapes from before the API was generally available."""
        keys = [each[len(_BROWSER_KEY) :] for each in offered if each.startswith(_BROWSER_KEY)]
        if keys and b"authorization" not in headers and b"x-api-key" not in headers:
            headers[b"authorization"] = b"Bearer " + (keys[0] if len(keys) == 1 else b"")
        self.model = _model(target)

    def answer(self, headers: bytes) -> bytes:
        """The head that makes the connection a WebSocket; `headers` are complete lines."""
        protocol = b"sec-websocket-protocol: realtime\r\n" if self._offers_realtime else b""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: %b\r\n%b%b\r\n"
        ) % (accept_key(self._key), protocol, headers)


def _model(target: bytes) -> str:
    query = target.partition(b"?")[2].decode("ascii")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict") if query else []
    except ValueError:
        raise InvalidInput("invalid_request", "The query is not well-formed.") from None
    for name, _ in pairs:
        if name != "model":
            raise InvalidInput("invalid_request", f"This route knows no parameter {name!r}.", param=name)
    if len(pairs) != 1 or not 0 < len(pairs[0][1]) <= _MODEL_LETTERS:
        raise InvalidInput("model_required", "Name the model: /v1/realtime?model=…", param="model")
    return pairs[0][1]
