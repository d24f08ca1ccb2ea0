"""Calls to a provider's HTTP API: a time limit, and repetition of what may be repeated."""

from __future__ import annotations

from typing import Any

import httpx2
import orjson
import stamina

from omni.kit.errors import Unavailable, UpstreamFailed

ATTEMPTS = 3
TIMEOUT = httpx2.Timeout(30, connect=5)


class _Repeatable(Exception):
    """The provider is away, busy, or still at work on the same idempotency key."""


async def send(client: httpx2.AsyncClient, request: httpx2.Request, *, busy: frozenset[int]) -> httpx2.Response:
    """The answer to a request that may be repeated: it reads, or carries an idempotency key.

    Repeats, with growing pauses, when there is no answer, on 429 and 5xx, and on the statuses in `busy`. Raises
    Unavailable `payment_provider_unavailable` when the last attempt fails too: what became of it is unknown.
    """
    try:
        async for attempt in stamina.retry_context(on=_Repeatable, attempts=ATTEMPTS, timeout=90, wait_initial=0.5):
            with attempt:
                return await _once(client, request, busy)
    except _Repeatable as error:
        raise Unavailable(
            "payment_provider_unavailable",
            "The payment provider does not answer. Repeat the request: nothing is charged twice.",
            retry_after_seconds=30,
            internal=f"{request.method} {request.url.copy_with(query=None)}: {error}",
        ) from error
    raise AssertionError("an attempt returns or raises")


async def _once(client: httpx2.AsyncClient, request: httpx2.Request, busy: frozenset[int]) -> httpx2.Response:
    try:
        response = await client.send(request)
    except httpx2.TransportError as error:
        raise _Repeatable(repr(error)) from error
    if response.status_code == 429 or response.status_code >= 500 or response.status_code in busy:
        raise _Repeatable(f"status {response.status_code}")
    return response


def parsed(response: httpx2.Response) -> dict[str, Any]:
    """The body as an object. Raises UpstreamFailed `payment_provider_failed`."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise failed(f"status {response.status_code}, no JSON object")
    return body


def failed(internal: str) -> UpstreamFailed:
    """What the operator has to look at; the payer can do nothing."""
    return UpstreamFailed(
        "payment_provider_failed",
        "The payment provider refused the request. The operator finds the cause in the log.",
        internal=internal,
    )
