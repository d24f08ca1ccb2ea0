"""HTTP to services that the operator has chosen, such as payment providers: each call is a span.

A span names method, host and status, never a path, query, header or body. The trace is not handed on to them.
"""

from __future__ import annotations

import httpx2

from omni.telemetry.local_traces import client_call


class TracedTransport(httpx2.AsyncHTTPTransport):
    """Every request is a CLIENT span of the request or task that sends it."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        with client_call(request.method, http_call_attributes(request.method, request.url)) as call:
            response = await super().handle_async_request(request)
            call.answered(response.status_code)
            return response


def http_call_attributes(method: str, url: httpx2.URL) -> dict[str, str | int]:
    """What a span says of a call before it is answered."""
    port = url.port or (443 if url.scheme == "https" else 80)
    return {"http.request.method": method, "server.address": url.host, "server.port": port}


def create_http_client(timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """A client that takes no proxy or certificate from the environment."""
    return httpx2.AsyncClient(transport=TracedTransport(trust_env=False), timeout=timeout, trust_env=False)
