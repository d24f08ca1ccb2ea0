"""Errors in Anthropic's shape, as its clients read them."""

from __future__ import annotations

_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
    504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


def anthropic_error(status: int, code: str, message: str, request_id: str, doc_url: str) -> dict[str, object]:
    """The body of an error on a route that keeps Anthropic's format; `code` and `doc_url` are Omni's own."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    error = {"type": kind, "message": message, "code": code, "doc_url": doc_url}
    return {"type": "error", "error": error, "request_id": request_id}
