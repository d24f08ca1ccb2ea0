"""What a plan's version costs, or the price list where the plan has none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import DatedCard, TaxBehaviour
from omni.foundation.db.sessions import Session

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription is charged by. `version` is None for the price list."""

    plan_code: str
    version: int | None
    currency: str
    cards: tuple[DatedCard, ...]
    interval: Literal["month", "quarter", "year"] = "month"
    anchor: Literal["calendar", "anniversary"] = "calendar"
    trial_days: int = 0
    commitment_minor: int = 0
    behaviour: TaxBehaviour = "exclusive"


async def newest_terms(session: Session, plan_code: str, currency: str) -> Terms:
    """Those of the plan's newest version in this currency, else of the price list."""
    return await _terms(session, plan_code, None, currency)


async def terms_of(session: Session, plan_code: str, version: int | None, currency: str) -> Terms:
    """Those that were agreed on."""
    if version is None:
        return await _price_list(session, plan_code, currency)
    return await _terms(session, plan_code, version, currency)


async def _terms(session: Session, plan_code: str, version: int | None, currency: str) -> Terms:
    found = await pricing.plan_version(session, plan_code, version, currency)
    if found is None:
        return await _price_list(session, plan_code, currency)
    terms = found.terms
    return Terms(
        plan_code,
        found.version,
        currency,
        tuple(DatedCard(card, _EVER, None) for card in terms.rate_cards),
        terms.interval,
        terms.anchor,
        terms.trial_days,
        terms.minimum_commitment_minor,
        terms.tax_behaviour,
    )


async def _price_list(session: Session, plan_code: str, currency: str) -> Terms:
    prices = await pricing.list_prices(session, currency)
    return Terms(plan_code, None, currency, tuple(pricing.default_cards(prices, currency)))
