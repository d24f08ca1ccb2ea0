"""Use cases of plan versions: publish the next one, read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from omni.domains.plans import facade as plans
from omni.domains.pricing import repository
from omni.domains.pricing.contracts import CardUsage, PlanTerms, PlanVersion, RateCard, RatedLine
from omni.domains.pricing.rules.checks import check_cards
from omni.domains.pricing.rules.plan_rating import rate_plan
from omni.foundation.db.sessions import Session, SharedSession
from omni.kit.errors import InvalidInput, NotFound


class PlanVersionChoice(Protocol):
    """A version of a plan; the newest when `version` is None."""

    @property
    def code(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def version(self) -> int | None: ...


async def plan_version(session: Session, plan_code: str, version: int | None, currency: str) -> PlanVersion | None:
    """A version of a plan in a currency, the newest for None; None when there is none."""
    return await repository.plan_version(session, plan_code, version, currency)


async def list_plan_versions(session: Session, plan_code: str) -> list[PlanVersion]:
    """Every version of a plan, by currency and number. Raises Unprocessable `unknown_plan`."""
    await plans.require_plan(session, plan_code, public_only=False)
    return await repository.plan_versions_of(session, plan_code)


async def has_price(session: Session, plan_code: str) -> bool:
    """Whether the newest version of a plan, in any currency, charges for something.

    A plan without a version has no price of its own: what is used on it costs what the list prices say.
    """
    newest = {each.terms.currency: each.terms for each in await repository.plan_versions_of(session, plan_code)}
    return any(terms.rate_cards or terms.minimum_commitment_minor for terms in newest.values())


async def publish_plan_version(session: SharedSession, plan_code: str, terms: PlanTerms, now: datetime) -> PlanVersion:
    """Publishes the next version of a plan. Subscriptions stay on theirs until they change.

    Raises Unprocessable `unknown_plan`; InvalidInput `unknown_product` and what `check_cards` does.
    """
    await plans.require_plan(session, plan_code, public_only=False)
    check_cards(terms.rate_cards, terms.currency, await repository.meter_codes(session))
    await require_products(session, [card.product for card in terms.rate_cards])
    return await repository.add_plan_version(session, plan_code, terms, now)


async def calculate(
    session: Session, card: RateCard | None, plan: PlanVersionChoice | None, usage: Mapping[str, CardUsage]
) -> tuple[PlanTerms, list[RatedLine]]:
    """What usage, by card code, comes to on a card, or else on a plan's version, in one full billing period.

    Raises NotFound `plan_version_not_found`; InvalidInput as `check_cards`, and what `rate_plan` does.
    """
    if card is not None:
        terms = PlanTerms(card.currency, (card,))
        check_cards(terms.rate_cards, terms.currency, await repository.meter_codes(session))
    else:
        found = await plan_version(session, plan.code, plan.version, plan.currency) if plan else None
        if found is None:
            raise NotFound(
                "plan_version_not_found", "The plan has no such version; see GET /api/operator/plans/{code}/versions."
            )
        terms = found.terms
    return terms, rate_plan(terms, usage)


async def require_products(session: Session, codes: list[str] | tuple[str, ...]) -> None:
    """Raises InvalidInput `unknown_product` unless every product exists."""
    known = {product.code for product in await repository.all_products(session)}
    strange = next((code for code in codes if code not in known), None)
    if strange is not None:
        raise InvalidInput(
            "unknown_product", f"There is no product {strange}; see GET /api/operator/products.", param="product"
        )
