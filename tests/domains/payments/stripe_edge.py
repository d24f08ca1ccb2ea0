"""Between the adapter and localstripe: what localstripe lacks, after Stripe's published API, and faults on demand.

It keeps Idempotency-Keys (docs.stripe.com/api/idempotent_requests): the same key and fields replay the first answer,
other fields are refused. It has Checkout sessions. Everything else goes to localstripe over HTTP.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import httpx2

SECRET = "whsec_new"


class StripeEdge(httpx2.AsyncBaseTransport):
    """A transport that forwards to localstripe."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[httpx2.Request] = []
        self.sessions: dict[str, dict[str, object]] = {}
        self._inner = httpx2.AsyncHTTPTransport()
        self._replays: dict[str, tuple[bytes, int, bytes]] = {}
        self._faults: list[str] = []

    def next_faults(self, *faults: str) -> None:
        """What happens to the next requests: `refused` before they arrive, `lost` after, or a status such as `503`."""
        self._faults = list(faults)

    def finish(self, session_id: str, method: dict[str, object]) -> None:
        """The payer has saved a method on the page."""
        intent = {"id": "seti_1", "status": "succeeded", "payment_method": method}
        self.sessions[session_id] |= {"status": "complete", "setup_intent": intent}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        fault = self._faults.pop(0) if self._faults else ""
        if fault == "refused":
            raise httpx2.ConnectError("refused", request=request)
        if fault.isdigit():
            return httpx2.Response(int(fault), json={"error": {"type": "api_error"}}, request=request)
        status, content = await self._answer(request)
        if fault == "lost":
            raise httpx2.ReadTimeout("lost", request=request)
        return httpx2.Response(status, content=content, request=request)

    async def _answer(self, request: httpx2.Request) -> tuple[int, bytes]:
        key, body = request.headers.get("idempotency-key"), await request.aread()
        if request.method == "POST":
            assert key, "a writing request without an idempotency key"
            if key in self._replays:
                known, status, content = self._replays[key]
                if known != body:
                    error = {"type": "idempotency_error", "message": "Keys for idempotent requests can only be ..."}
                    return 400, json.dumps({"error": error}).encode()
                return status, content
        status, content = await self._forward(request, body)
        if key and status < 500:
            self._replays[key] = body, status, content
        return status, content

    async def _forward(self, request: httpx2.Request, body: bytes) -> tuple[int, bytes]:
        path = request.url.path
        if path.startswith("/v1/checkout/sessions"):
            return self._checkout(request.method, path, dict(parse_qsl(body.decode())))
        response = await self._inner.handle_async_request(request)
        return response.status_code, await response.aread()

    def _checkout(self, method: str, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
        if method == "GET":
            found = self.sessions.get(path.rsplit("/", 1)[1])
            return (
                (200, json.dumps(found).encode()) if found else (404, b'{"error": {"type": "invalid_request_error"}}')
            )
        session_id = f"cs_test_{len(self.sessions) + 1}"
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "mode": fields["mode"],
            "status": "open",
            "url": f"https://checkout.stripe.example/c/pay/{session_id}",
            "payment_intent": None,
            "setup_intent": None,
            "fields": fields,
        }
        return 200, json.dumps(self.sessions[session_id]).encode()

    async def aclose(self) -> None:
        await self._inner.aclose()
