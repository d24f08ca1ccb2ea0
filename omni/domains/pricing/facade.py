"""What other domains and the composition roots may use of pricing."""

from __future__ import annotations

from omni.domains.pricing.rules import price_at
from omni.domains.pricing.service import DEFAULT_CURRENCY, list_prices, publish_prices, seed_prices, set_price

__all__ = ["DEFAULT_CURRENCY", "list_prices", "price_at", "publish_prices", "seed_prices", "set_price"]
