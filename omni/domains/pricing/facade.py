"""What other domains and the composition roots may use of pricing."""

from __future__ import annotations

from omni.domains.pricing.rules.card_json import from_json as card_from_json
from omni.domains.pricing.rules.card_json import to_json as card_to_json
from omni.domains.pricing.rules.checks import check_card, check_cards
from omni.domains.pricing.rules.list_prices import price_at
from omni.domains.pricing.rules.proration import prorate
from omni.domains.pricing.rules.rating import COMMITMENT, commitment_line, line_dimensions, rate
from omni.domains.pricing.service import DEFAULT_CURRENCY, list_prices, publish_prices, seed_prices, set_price

__all__ = [
    "COMMITMENT",
    "DEFAULT_CURRENCY",
    "card_from_json",
    "card_to_json",
    "check_card",
    "check_cards",
    "commitment_line",
    "line_dimensions",
    "list_prices",
    "price_at",
    "prorate",
    "publish_prices",
    "rate",
    "seed_prices",
    "set_price",
]
