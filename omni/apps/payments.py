"""The payment providers that the settings turn on."""

from __future__ import annotations

from dataclasses import replace

import httpx2
from pydantic import TypeAdapter, ValidationError

from omni.apps.settings import SettingMissing, Settings
from omni.domains.payments.contracts import Deposits, PaymentProvider
from omni.domains.payments.facade import Providers
from omni.domains.payments.providers.crypto.adapter import Crypto, CryptoSettings
from omni.domains.payments.providers.crypto.addresses import checked_address
from omni.domains.payments.providers.crypto.deposits import Asset
from omni.domains.payments.providers.paypal.adapter import PayPal
from omni.domains.payments.providers.paypal.client import PayPalSettings
from omni.domains.payments.providers.stripe.adapter import Stripe
from omni.domains.payments.providers.stripe.client import StripeSettings
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput


def payment_providers(settings: Settings, http: httpx2.AsyncClient, deposits: Deposits, clock: Clock) -> Providers:
    """Those whose settings are complete; the others say what they lack. Raises SettingMissing for wrong ones."""
    found: dict[str, PaymentProvider] = {}
    if settings.stripe_secret_key is not None and settings.stripe_webhook_secrets is not None:
        secrets = settings.stripe_webhook_secrets.get_secret_value().split(",")
        found["stripe"] = Stripe(
            http,
            StripeSettings(
                settings.stripe_secret_key.get_secret_value(),
                tuple(secret.strip() for secret in secrets if secret.strip()),
                settings.stripe_url,
            ),
        )
    if settings.paypal_client_id and settings.paypal_secret is not None and settings.paypal_webhook_id:
        found["paypal"] = PayPal(
            http,
            PayPalSettings(
                settings.paypal_client_id,
                settings.paypal_secret.get_secret_value(),
                settings.paypal_webhook_id,
                settings.paypal_url,
            ),
            clock,
        )
    crypto = crypto_provider(settings, http, deposits, clock)
    return Providers(found if crypto is None else found | {crypto.name: crypto})


def crypto_provider(settings: Settings, http: httpx2.AsyncClient, deposits: Deposits, clock: Clock) -> Crypto | None:
    """None when it is not configured. Raises SettingMissing for settings that cannot be."""
    url, chain_id, xpub = settings.crypto_rpc_url, settings.crypto_chain_id, settings.crypto_xpub
    if url is None or chain_id is None or xpub is None or settings.crypto_assets is None:
        return None
    try:
        found = CryptoSettings(
            url.get_secret_value(), chain_id, xpub, _assets(settings.crypto_assets), settings.crypto_confirmations
        )
    except (ValidationError, InvalidInput) as error:
        raise SettingMissing(
            "OMNI_CRYPTO_ASSETS", f"set it to assets as `omni doctor` describes them ({error})"
        ) from error
    try:
        return Crypto(http, found, deposits, clock)
    except ValueError as error:
        raise SettingMissing("OMNI_CRYPTO_XPUB", str(error)) from error


def _assets(text: str) -> tuple[Asset, ...]:
    assets = TypeAdapter(tuple[Asset, ...]).validate_json(text)
    return tuple(
        replace(
            asset,
            contract=None if asset.contract is None else checked_address(asset.contract),
            feed=None if asset.feed is None else checked_address(asset.feed),
        )
        for asset in assets
    )
