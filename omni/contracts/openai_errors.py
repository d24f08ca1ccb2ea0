"""Errors in OpenAI's shape, as its clients read them: one mapping for the gateway and the backend."""

from __future__ import annotations

_TYPES = {403: "permission_error", 429: "rate_limit_error"}
"""Types that differ from `invalid_request_error` (below 500; a wrong key too) and `server_error` (from 500 on)."""
_QUOTA_CODES, _OPENAI_QUOTA = frozenset(("quota_exceeded", "budget_exceeded", "credit_exhausted")), "insufficient_quota"


def openai_error(
    status: int, code: str, message: str, *, param: object, request_id: str, doc_url: str
) -> dict[str, dict[str, object]]:
    """The body of an error on an OpenAI-shaped route.

    A used-up quota or budget has type and code `insufficient_quota`, by which clients tell it from a rate limit.
    """
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    if code in _QUOTA_CODES:
        kind = code = _OPENAI_QUOTA
    return {
        "error": {
            "message": message,
            "type": kind,
            "param": param,
            "code": code,
            "request_id": request_id,
            "doc_url": doc_url,
        }
    }
