"""How an error leaves the gateway: problem+json (RFC 9457), or OpenAI's shape on OpenAI-shaped routes.

Errors of HTTP itself, beside those of omni.kit.errors:

OmniError
├── MethodNotAllowed  405  the path exists, the method does not; carries `allow`
├── RequestTimeout    408  the client sends too slowly
├── UpgradeRequired   426  the path answers over a WebSocket only
└── HeadersTooLarge   431  over the header limit
"""

from __future__ import annotations

import orjson

from omni.contracts.anthropic_errors import anthropic_error
from omni.contracts.docs import doc_url
from omni.contracts.endpoints import ErrorShape
from omni.contracts.openai_errors import openai_error
from omni.kit.errors import LimitExceeded, OmniError, Unavailable

PROBLEM_JSON = b"content-type: application/problem+json\r\n"
JSON = b"content-type: application/json\r\n"

_PERMANENT = frozenset(("quota_exceeded", "budget_exceeded", "credit_exhausted"))
"""Limits that waiting a little does not lift: clients need not try again by themselves."""


class MethodNotAllowed(OmniError):
    status, title = 405, "Method not allowed"

    def __init__(self, allow: str) -> None:
        super().__init__("method_not_allowed", f"This path accepts {allow}.")
        self.allow = allow


class RequestTimeout(OmniError):
    status, title = 408, "Request timeout"


class UpgradeRequired(OmniError):
    status, title = 426, "Upgrade required"


class HeadersTooLarge(OmniError):
    status, title = 431, "Request header fields too large"


def upgrade_required() -> UpgradeRequired:
    """The answer to a plain request for a realtime session."""
    return UpgradeRequired("upgrade_required", "Open this path as a WebSocket.")


def unrecorded() -> Unavailable:
    """The answer when usage can be recorded nowhere: nothing is given away."""
    return Unavailable(
        "limits_unavailable", "Usage cannot be recorded just now. Try again shortly.", retry_after_seconds=2
    )


def error_headers(error: OmniError) -> bytes:
    """Header lines that an error brings beside its content type."""
    if isinstance(error, LimitExceeded | Unavailable):
        lines = b"retry-after: %d\r\n" % max(1, error.retry_after_seconds)
        return lines + b"x-should-retry: false\r\n" if error.code in _PERMANENT else lines
    if isinstance(error, MethodNotAllowed):
        return b"allow: %s\r\n" % error.allow.encode("ascii")
    if isinstance(error, UpgradeRequired):
        return b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    if error.status == 401:
        return b"www-authenticate: Bearer\r\n"
    return b""


def error_body(error: OmniError, request_id: str, shape: ErrorShape) -> tuple[bytes, bytes]:
    """The content-type header line and the body of an error's answer."""
    url = doc_url(error.code)
    if shape == "anthropic":
        return JSON, orjson.dumps(anthropic_error(error.status, error.code, error.message, request_id, url))
    if shape == "openai":
        param = error.fields.get("param")
        return JSON, orjson.dumps(
            openai_error(error.status, error.code, error.message, param=param, request_id=request_id, doc_url=url)
        )
    document: dict[str, object] = {
        "type": url,
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "request_id": request_id,
        "doc_url": url,
    }
    return PROBLEM_JSON, orjson.dumps(document | error.fields)
