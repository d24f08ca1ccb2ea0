"""Which payment providers are on."""

from __future__ import annotations

from collections.abc import Mapping

from omni.domains.payments.contracts import PaymentProvider
from omni.kit.errors import NotConfigured, NotFound

NEEDED_SETTINGS = {
    "stripe": "OMNI_STRIPE_SECRET_KEY and OMNI_STRIPE_WEBHOOK_SECRETS",
    "paypal": "OMNI_PAYPAL_CLIENT_ID, OMNI_PAYPAL_SECRET and OMNI_PAYPAL_WEBHOOK_ID",
    "crypto": "OMNI_CRYPTO_RPC_URL, OMNI_CRYPTO_CHAIN_ID, OMNI_CRYPTO_XPUB and OMNI_CRYPTO_ASSETS",
}
"""The ways to pay that Omni knows, and what turns each on."""


class Providers:
    """The payment providers that this installation has keys for."""

    def __init__(self, configured: Mapping[str, PaymentProvider]) -> None:
        self._configured = dict(configured)

    def names(self) -> tuple[str, ...]:
        """Those that are on."""
        return tuple(sorted(self._configured))

    def get(self, name: str) -> PaymentProvider:
        """Raises NotFound `payment_provider_not_found`, NotConfigured `payment_provider_not_configured`."""
        if name in self._configured:
            return self._configured[name]
        if name in NEEDED_SETTINGS:
            raise NotConfigured(
                "payment_provider_not_configured",
                f"Payments through {name} are off: the operator turns them on with {NEEDED_SETTINGS[name]}.",
            )
        raise NotFound("payment_provider_not_found", f"Omni knows {', '.join(NEEDED_SETTINGS)}.")
