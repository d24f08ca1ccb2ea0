"""The one error tree.

OmniError                 code, public message, what to do; internal text stays in the log
├── InvalidInput     400  the request cannot be understood or breaks a rule
├── Unprocessable    422  well-formed, but it contradicts itself or the state it refers to
├── Unauthenticated  401  no valid credential
├── Forbidden        403  valid credential, not allowed, and the caller may know that the thing exists
├── NotFound         404  missing, or hidden from this caller: the two answer alike
├── Conflict         409  the state forbids it now
├── TooLarge         413  over a size limit
├── UnsupportedType  415  a content type that the endpoint does not read
├── LimitExceeded    429  rate limit or quota; carries retry_after_seconds
├── NotConfigured    501  the feature lacks a model, key or service; says which
├── UpstreamFailed   502  what Omni called answered wrongly
├── Unavailable      503  cannot answer now; carries retry_after_seconds
└── DeadlineExceeded 504  the time allowed for it is over
"""

from __future__ import annotations

from typing import ClassVar


class OmniError(Exception):
    """An error that has an answer for the caller.

    `code` is stable and documented; `message` is public text that says what to do; `internal` is for the log only;
    `fields` are extra public members of the problem document.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, code: str, message: str, *, internal: str | None = None, **fields: object) -> None:
        super().__init__(internal or message)
        self.code = code
        self.message = message
        self.internal = internal
        self.fields = fields


class InvalidInput(OmniError):
    status, title = 400, "Invalid request"


class Unprocessable(OmniError):
    status, title = 422, "Unprocessable request"


class Unauthenticated(OmniError):
    status, title = 401, "Not authenticated"


class Forbidden(OmniError):
    status, title = 403, "Not allowed"


class NotFound(OmniError):
    status, title = 404, "Not found"


class Conflict(OmniError):
    status, title = 409, "Conflict"


class TooLarge(OmniError):
    status, title = 413, "Too large"


class UnsupportedType(OmniError):
    status, title = 415, "Unsupported content type"


class NotConfigured(OmniError):
    status, title = 501, "Not configured"


class UpstreamFailed(OmniError):
    status, title = 502, "Upstream failed"


class DeadlineExceeded(OmniError):
    status, title = 504, "Deadline exceeded"


class _Retryable(OmniError):
    """An error after which the same request may succeed."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after_seconds: int = 1,
        internal: str | None = None,
        **fields: object,
    ) -> None:
        super().__init__(code, message, internal=internal, **fields)
        self.retry_after_seconds = retry_after_seconds


class LimitExceeded(_Retryable):
    status, title = 429, "Limit exceeded"


class Unavailable(_Retryable):
    status, title = 503, "Unavailable"
