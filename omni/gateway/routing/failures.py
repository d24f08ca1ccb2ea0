"""What clients hear of providers that fail, and how long one that is at its limits asks us to wait."""

from __future__ import annotations

import math
from contextlib import suppress
from email.utils import parsedate_to_datetime

from omni.contracts.wire import BadAnswer
from omni.gateway.upstream.answers import deadline_exceeded
from omni.kit.clock import unix_micros
from omni.kit.errors import DeadlineExceeded, OmniError, UpstreamFailed

_COOL_DOWN_SECONDS = 1.0
_COOL_DOWN_MOST_SECONDS = 300.0


class TryNext(Exception):
    """This target did not serve the request; another one may."""

    def __init__(self, error: OmniError, *, again: bool = False) -> None:
        super().__init__(error.code)
        self.error = error
        self.again = again
        """Whether the same target may do better a moment later."""


def provider_failed(internal: str) -> UpstreamFailed:
    """The answer when a provider breaks its own."""
    return UpstreamFailed("provider_failed", "The model's provider did not answer correctly.", internal=internal)


def public_error(error: OmniError | BadAnswer) -> OmniError:
    """The error as clients get it."""
    if isinstance(error, DeadlineExceeded):
        return deadline_exceeded()
    if isinstance(error, OmniError) and error.code == "provider_misconfigured":
        return error
    return provider_failed(str(error))


def retry_after(value: bytes) -> float:
    """Seconds, from either form of the header (RFC 9110), within reason."""
    text = value.decode("latin-1").strip()
    seconds = _COOL_DOWN_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        with suppress(ValueError):
            seconds = parsedate_to_datetime(text).timestamp() - unix_micros() / 1_000_000
    if not math.isfinite(seconds):
        seconds = _COOL_DOWN_SECONDS
    return min(max(seconds, _COOL_DOWN_SECONDS), _COOL_DOWN_MOST_SECONDS)
