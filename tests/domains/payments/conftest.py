"""Providers to hold against the port: the twin, Stripe's adapter on localstripe, PayPal's on a fake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import httpx2
import pytest
import stamina

from omni.apps.embedded.launch import free_port
from omni.domains.payments.providers.paypal.adapter import PayPal
from omni.domains.payments.providers.stripe.adapter import Stripe
from omni.domains.payments.providers.stripe.client import StripeSettings
from omni.kit.clock import ManualClock
from omni.testing.payments import InMemoryPayments
from tests.domains.payments.fake_paypal import FakePayPal
from tests.domains.payments.harness import Harness, PayPalHarness, StripeHarness, TwinHarness
from tests.domains.payments.stripe_edge import StripeEdge

LOCALSTRIPE = """
import sys
from aiohttp import web
from localstripe.resources import Store
from localstripe.server import app
Store.dump_to_disk = lambda self: None
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""


@pytest.fixture(autouse=True)
def retries_without_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(scope="session")
def localstripe() -> Iterator[str]:
    """The address of a localstripe of our own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", LOCALSTRIPE, str(port)])
    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=8), trust_env=False, timeout=10) as client:
            client.get(f"http://127.0.0.1:{port}/v1/customers", headers={"authorization": "Bearer sk_test_12345"})
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(params=["twin", "stripe", "paypal"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """A provider, and what stands behind it."""
    if request.param == "twin":
        yield TwinHarness(InMemoryPayments(ManualClock(datetime.now(UTC))))
        return
    if request.param == "paypal":
        fake = FakePayPal()
        async with httpx2.AsyncClient(transport=fake) as http:
            yield PayPalHarness(PayPal(http, fake.settings, ManualClock(datetime.now(UTC))), fake)
        return
    edge = StripeEdge(request.getfixturevalue("localstripe"))
    settings = StripeSettings("sk_test_12345", ("whsec_new", "whsec_old"), edge.url)
    async with httpx2.AsyncClient(transport=edge) as http:
        yield StripeHarness(Stripe(http, settings), edge)
