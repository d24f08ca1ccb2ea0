"""Providers to hold against the port: the twin, Stripe's adapter on localstripe, PayPal's on a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import httpx2
import pytest
import stamina

from omni.domains.payments.providers.paypal.adapter import PayPal
from omni.domains.payments.providers.stripe.adapter import Stripe
from omni.domains.payments.providers.stripe.client import StripeSettings
from omni.kit.clock import ManualClock
from omni.testing.payments import InMemoryPayments
from tests.domains.payments.fake_paypal import FakePayPal
from tests.domains.payments.harness import Harness, PayPalHarness, StripeHarness, TwinHarness
from tests.domains.payments.localstripe import running_localstripe
from tests.domains.payments.stripe_edge import StripeEdge


@pytest.fixture(autouse=True)
def retries_without_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture(scope="session")
def localstripe() -> Iterator[str]:
    """The address of a localstripe of our own."""
    with running_localstripe() as url:
        yield url


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
