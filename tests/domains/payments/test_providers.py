"""What is not configured says so and stays off."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from omni.domains.payments.facade import Providers
from omni.kit.clock import ManualClock
from omni.kit.errors import NotConfigured, NotFound
from omni.testing.payments import InMemoryPayments


def test_a_provider_without_keys_is_off_and_says_what_turns_it_on() -> None:
    providers = Providers({})
    assert providers.names() == ()
    for name, setting in (("stripe", "OMNI_STRIPE_SECRET_KEY"), ("paypal", "OMNI_PAYPAL_"), ("crypto", "OMNI_CRYPTO_")):
        with pytest.raises(NotConfigured, match=setting) as off:
            providers.get(name)
        assert (off.value.status, off.value.code) == (501, "payment_provider_not_configured")


def test_a_provider_that_nobody_knows() -> None:
    with pytest.raises(NotFound, match="Omni knows stripe, paypal, crypto"):
        Providers({}).get("bitcoin")


def test_a_configured_provider_is_on() -> None:
    twin = InMemoryPayments(ManualClock(datetime(2026, 12, 1, tzinfo=UTC)))
    providers = Providers({"stripe": twin})
    assert providers.get("stripe") is twin
    assert providers.names() == ("stripe",)
