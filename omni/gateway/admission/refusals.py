"""What a limit that refuses tells the caller: the error, and RateLimit header lines."""

from __future__ import annotations

import math
from typing import Final, Protocol

from omni.kit.errors import LimitExceeded

RATE_REQUESTS: Final = "rpm"
RATE_TOKENS: Final = "tpm"
_MICROS: Final = 1_000_000


def rate_exceeded(rate: str, retry_after_micros: int, scope: str = "plan") -> LimitExceeded:
    """The error for a rate of the plan or key."""
    what = "requests" if rate == RATE_REQUESTS else "tokens"
    return LimitExceeded(
        "rate_limit_exceeded",
        f"The {scope}'s rate of {what} per minute is exceeded. Slow down or wait as Retry-After says.",
        retry_after_seconds=max(1, math.ceil(retry_after_micros / _MICROS)),
        limit=rate,
    )


def too_many_open(limit: int) -> LimitExceeded:
    """The error for requests and streams at once."""
    return LimitExceeded(
        "concurrency_limit_exceeded",
        f"{limit} requests are open already, which is the limit. Wait until one has ended.",
        retry_after_seconds=1,
        limit="concurrent_requests",
    )


def quota_exceeded(meter: str, resets_in_micros: int) -> LimitExceeded:
    """The error for a monthly quota of the plan."""
    return LimitExceeded(
        "quota_exceeded",
        f"The plan's monthly quota of {meter} is used up. It starts anew with the next month (UTC); "
        "a larger plan raises it at once.",
        retry_after_seconds=max(1, math.ceil(resets_in_micros / _MICROS)),
        meter=meter,
    )


def money_exceeded(scope: str, resets_in_micros: int | None) -> LimitExceeded:
    """The error for a hard budget or the wallet: what is left does not cover the request."""
    if scope == "wallet":
        return LimitExceeded(
            "credit_exhausted",
            "The remaining credit does not cover this request. Top up the wallet.",
            retry_after_seconds=3600,
        )
    renewal = "" if resets_in_micros is None else " It starts anew with the next period (UTC);"
    return LimitExceeded(
        "budget_exceeded",
        f"The {scope}'s budget does not cover this request.{renewal} raising the budget helps at once.",
        retry_after_seconds=3600 if resets_in_micros is None else max(1, math.ceil(resets_in_micros / _MICROS)),
        scope=scope,
    )


class RateLines(Protocol):
    """Writes the header lines of one limit."""

    def __init__(self, limit: int) -> None: ...

    def of(self, remaining: int, reset_micros: int) -> bytes:
        """The lines for what is left of it."""
        ...


class RequestRateLines:
    """A limit of requests, in the general and in OpenAI's form."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        self._limit = b"%d" % limit

    def of(self, remaining: int, reset_micros: int) -> bytes:
        limit, left = self._limit, b"%d" % max(0, remaining)
        return (
            b"ratelimit-limit: %b\r\nratelimit-remaining: %b\r\nratelimit-reset: %d\r\n"
            b"x-ratelimit-limit-requests: %b\r\nx-ratelimit-remaining-requests: %b\r\n"
            b"x-ratelimit-reset-requests: %b\r\n"
        ) % (limit, left, max(0, -(-reset_micros // _MICROS)), limit, left, _short(reset_micros))


class TokenRateLines:
    """A limit of tokens, in OpenAI's form."""

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        self._limit = b"%d" % limit

    def of(self, remaining: int, reset_micros: int) -> bytes:
        return (
            b"x-ratelimit-limit-tokens: %b\r\nx-ratelimit-remaining-tokens: %d\r\nx-ratelimit-reset-tokens: %b\r\n"
        ) % (self._limit, max(0, remaining), _short(reset_micros))


def limit_headers(limit: int, remaining: int, reset_micros: int) -> bytes:
    """The header lines of a limit of requests."""
    return RequestRateLines(limit).of(remaining, reset_micros)


def open_headers(limit: int) -> bytes:
    """The header lines of a limit of requests at once that is reached; a place may be free within a second."""
    return b"ratelimit-limit: %d\r\nratelimit-remaining: 0\r\nratelimit-reset: 1\r\n" % limit


def _short(micros: int) -> bytes:
    micros = max(0, micros)
    return b"%dms" % -(-micros // 1000) if micros < _MICROS else b"%ds" % -(-micros // _MICROS)
