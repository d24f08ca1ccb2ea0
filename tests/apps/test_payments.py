"""Settings turn payment providers on; half of them do not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import SecretStr

from omni.apps.payments import payment_providers
from omni.apps.settings import SettingMissing, Settings
from omni.kit.clock import SystemClock
from omni.kit.errors import NotConfigured
from omni.testing.payments import InMemoryDeposits


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as client:
        yield client


def test_nothing_is_on_without_settings(http: httpx2.AsyncClient) -> None:
    providers = payment_providers(Settings(), http, InMemoryDeposits(), SystemClock())
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
    assert payment_providers(settings, http, InMemoryDeposits(), SystemClock()).names() == ("paypal", "stripe")


def test_a_key_without_the_webhooks_secret_turns_nothing_on(http: httpx2.AsyncClient) -> None:
    settings = Settings(stripe_secret_key=SecretStr("sk_test_1"), paypal_client_id="client")
    assert payment_providers(settings, http, InMemoryDeposits(), SystemClock()).names() == ()


XPUB = "xpub6DyUKdwoLWmUJ4Tn9Bbsdtx7B5Ws18mEN19e5HT52ikE53FiUheSQXrZUNPovqfyKmw4579A1Mm3GXXKM39N64uooBfJ4tNAzFsEbodRTx4"
COIN = '[{"symbol": "USDC", "decimals": 6, "currency": "USD", "contract": "%s"}]'


def crypto(xpub: str = XPUB, contract: str = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48") -> Settings:
    return Settings(
        crypto_rpc_url=SecretStr("http://node"), crypto_chain_id=1, crypto_xpub=xpub, crypto_assets=COIN % contract
    )


def test_crypto_is_turned_on_by_what_fits(http: httpx2.AsyncClient) -> None:
    assert payment_providers(crypto(), http, InMemoryDeposits(), SystemClock()).names() == ("crypto",)
    with pytest.raises(SettingMissing, match=r"OMNI_CRYPTO_XPUB.*private key"):
        payment_providers(crypto(xpub="xprv9zz7v8QuW9DB5"), http, InMemoryDeposits(), SystemClock())
    for contract in ("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eb48", "nonsense"):
        with pytest.raises(SettingMissing, match="OMNI_CRYPTO_ASSETS"):
            payment_providers(crypto(contract=contract), http, InMemoryDeposits(), SystemClock())
