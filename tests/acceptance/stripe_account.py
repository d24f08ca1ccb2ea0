"""An account of Stripe that a platform finds over HTTP: a localstripe of its own behind `StripeEdge`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from aiohttp import web

from omni.apps.embedded.launch import free_port
from tests.domains.payments.harness import CARDS
from tests.domains.payments.localstripe import AUTHORIZATION, running_localstripe, save_card
from tests.domains.payments.stripe_edge import SECRET, StripeEdge


class StripeAccount:
    """What a test does at Stripe. `url` is the API's address for the platform."""

    def __init__(self, url: str, edge: StripeEdge) -> None:
        self.url = url
        self.edge = edge

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a platform that is paid through this account."""
        return {
            "OMNI_STRIPE_SECRET_KEY": AUTHORIZATION["authorization"].removeprefix("Bearer "),
            "OMNI_STRIPE_WEBHOOK_SECRETS": SECRET,
            "OMNI_STRIPE_URL": self.url,
        }

    def tell(self, webhook_url: str) -> None:
        """Has Stripe send its events to an address, signed."""
        webhook = {"url": webhook_url, "secret": SECRET}
        path = f"{self.edge.url}/_config/webhooks/platform"
        httpx2.post(path, json=webhook, timeout=10, trust_env=False).raise_for_status()

    async def fill_in_card(self, session_id: str) -> None:
        """The payer saves a card that pays on the page of a Checkout session."""
        fields = self.edge.sessions[session_id]["fields"]
        assert isinstance(fields, dict)
        self.edge.finish(session_id, await save_card(self.edge.url, fields["customer"], CARDS["pays"]))

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """All that localstripe itself has of a kind, such as `charges`."""
        with httpx2.Client(headers=AUTHORIZATION, timeout=10, trust_env=False) as http:
            page = http.get(f"{self.edge.url}/v1/{kind}", params={"limit": 100}).json()
        assert not page["has_more"]
        found: list[dict[str, Any]] = page["data"]
        return found


@contextmanager
def stripe_account() -> Iterator[StripeAccount]:
    """An account without customers, and its server."""
    with running_localstripe() as localstripe:
        edge, port, loop = StripeEdge(localstripe), free_port(), asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            runner = asyncio.run_coroutine_threadsafe(_serve(edge, port), loop).result(10)
            yield StripeAccount(f"http://127.0.0.1:{port}", edge)
            asyncio.run_coroutine_threadsafe(_stop(edge, runner), loop).result(10)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()


async def _serve(edge: StripeEdge, port: int) -> web.AppRunner:
    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        forwarded = httpx2.Request(
            request.method, f"{edge.url}{request.path_qs}", headers=headers, content=await request.read()
        )
        try:
            found = await edge.handle_async_request(forwarded)
        except httpx2.TransportError:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=504)  # nobody hears it
        return web.Response(status=found.status_code, body=found.content, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def _stop(edge: StripeEdge, runner: web.AppRunner) -> None:
    await runner.cleanup()
    await edge.aclose()
