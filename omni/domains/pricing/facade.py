"""What other domains and the composition roots may use of pricing."""

from __future__ import annotations

from omni.domains.pricing.rules.card_json import from_json as card_from_json
from omni.domains.pricing.rules.card_json import to_json as card_to_json
from omni.domains.pricing.rules.checks import check_card, check_cards
from omni.domains.pricing.rules.coupons import allocate, check_redemption, discounts, holds_in_period
from omni.domains.pricing.rules.list_cards import LIST_PRODUCT, default_cards
from omni.domains.pricing.rules.plan_rating import rate_plan
from omni.domains.pricing.rules.proration import prorate
from omni.domains.pricing.rules.rating import COMMITMENT, commitment_line, line_dimensions, rate
from omni.domains.pricing.rules.taxes import compute_taxes, tax_note_text
from omni.domains.pricing.rules.taxes import treatment as tax_treatment
from omni.domains.pricing.rules.vat_ids import check_vat_id
from omni.domains.pricing.rules.wallets import burn_down
from omni.domains.pricing.service.coupons import coupon_of, list_coupons, redeem_coupon
from omni.domains.pricing.service.plan_versions import (
    has_price,
    list_plan_versions,
    plan_version,
    publish_plan_version,
)
from omni.domains.pricing.service.prices import DEFAULT_CURRENCY, list_prices, publish_prices, seed_prices, set_price
from omni.domains.pricing.service.products import list_products, tax_rates

__all__ = [
    "COMMITMENT",
    "DEFAULT_CURRENCY",
    "LIST_PRODUCT",
    "allocate",
    "burn_down",
    "card_from_json",
    "card_to_json",
    "check_card",
    "check_cards",
    "check_redemption",
    "check_vat_id",
    "commitment_line",
    "compute_taxes",
    "coupon_of",
    "default_cards",
    "discounts",
    "has_price",
    "holds_in_period",
    "line_dimensions",
    "list_coupons",
    "list_plan_versions",
    "list_prices",
    "list_products",
    "plan_version",
    "prorate",
    "publish_plan_version",
    "publish_prices",
    "rate",
    "rate_plan",
    "redeem_coupon",
    "seed_prices",
    "set_price",
    "tax_note_text",
    "tax_rates",
    "tax_treatment",
]
