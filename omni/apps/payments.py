"""The payment providers that the settings turn on."""

from __future__ import annotations

import httpx2

from omni.apps.settings import Settings
from omni.domains.payments.contracts import PaymentProvider
from omni.domains.payments.facade import Providers
from omni.domains.payments.providers.paypal.adapter import PayPal
from omni.domains.payments.providers.paypal.client import PayPalSettings
from omni.domains.payments.providers.stripe.adapter import Stripe
from omni.domains.payments.providers.stripe.client import StripeSettings
from omni.kit.clock import Clock


def payment_providers(settings: Settings, http: httpx2.AsyncClient, clock: Clock) -> Providers:
    """Those whose settings are complete; the others say what they lack."""
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
    return Providers(found)
