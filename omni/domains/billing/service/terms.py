"""What a plan's version costs, or the price list where the plan has none."""

from __future__ import annotations

from datetime import UTC, datetime

from omni.domains.billing.contracts import Terms
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import DatedCard, PlanTerms
from omni.foundation.db.sessions import Session

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


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
    return from_plan_terms(found.terms, plan_code, found.version)


def from_plan_terms(terms: PlanTerms, plan_code: str, version: int | None) -> Terms:
    """Terms of the price book as those of a subscription."""
    return Terms(
        plan_code,
        version,
        terms.currency,
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


class TermsBook:
    """Terms that were read once are not read again, for as long as one invoice is rated."""

    def __init__(self, session: Session, currency: str) -> None:
        self._session = session
        self._currency = currency
        self._known: dict[tuple[str, int | None], Terms] = {}

    async def terms_of(self, plan_code: str, version: int | None) -> Terms:
        """Those that were agreed on."""
        key = plan_code, version
        if key not in self._known:
            self._known[key] = await terms_of(self._session, plan_code, version, self._currency)
        return self._known[key]
