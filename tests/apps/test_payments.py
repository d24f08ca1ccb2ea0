"""Settings turn payment providers on; half of them do not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import SecretStr

from omni.apps.payments import payment_providers
from omni.apps.settings import Settings
from omni.kit.clock import SystemClock
from omni.kit.errors import NotConfigured


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


def test_nothing_is_on_without_settings(http: httpx2.AsyncClient) -> None:
    providers = payment_providers(Settings(), http, SystemClock())
    assert providers.names() == ()
    with pytest.raises(NotConfigured):
        providers.get("stripe")


def test_complete_settings_turn_a_provider_on(http: httpx2.AsyncClient) -> None:
    settings = Settings(
        stripe_secret_key=SecretStr("sk_test_1"),
        stripe_webhook_secrets=SecretStr("whsec_a, whsec_b"),
        paypal_client_id="client",
        paypal_secret=SecretStr("secret"),
        paypal_webhook_id="WH",
    )
    assert payment_providers(settings, http, SystemClock()).names() == ("paypal", "stripe")


def test_a_key_without_the_webhooks_secret_turns_nothing_on(http: httpx2.AsyncClient) -> None:
    settings = Settings(stripe_secret_key=SecretStr("sk_test_1"), paypal_client_id="client")
    assert payment_providers(settings, http, SystemClock()).names() == ()
