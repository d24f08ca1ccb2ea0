"""`/api/price-book/rate`: what usage would come to."""

from __future__ import annotations

from fractions import Fraction

from fastapi import APIRouter, Depends

from omni.domains.pricing.contracts import CardUsage, PlanTerms, Quantity, RatedLine, Step, Transaction
from omni.domains.pricing.routes.bodies import CardUsageIn, RatedLineOut, RatedOut, RateIn, StepOut
from omni.domains.pricing.routes.deps import PricingDeps
from omni.domains.pricing.service import plan_versions
from omni.kit.money import line_minor


def add_routes(routes: APIRouter, deps: PricingDeps) -> None:
    """The calculator."""

    @routes.post("/price-book/rate", response_model=RatedOut, dependencies=[Depends(deps.operator)])
    async def rate_usage(body: RateIn) -> RatedOut:
        """What usage comes to on a rate card, or on a version of a plan, in one full billing period. Stores nothing."""
        async with deps.database.shared() as session:
            terms, lines = await plan_versions.calculate(
                session, body.rate_card, body.plan, {each.card: _from_api_usage(each) for each in body.usage}
            )
        return _to_api_rated(terms, lines)


def _from_api_usage(usage: CardUsageIn) -> CardUsage:
    return CardUsage(
        [Quantity(tuple(each.dimensions.items()), Fraction(each.quantity), each.events) for each in usage.quantities],
        [Transaction(tuple(each.dimensions.items()), each.value, each.price) for each in usage.transactions],
    )


def _to_api_rated(terms: PlanTerms, lines: list[RatedLine]) -> RatedOut:
    found = [_to_api_line(line, terms.currency) for line in lines]
    return RatedOut(currency=terms.currency, lines=found, total_minor=sum(line.amount_minor for line in found))


def _to_api_line(line: RatedLine, currency: str) -> RatedLineOut:
    return RatedLineOut(
        card=line.card,
        dimensions=dict(line.dimensions),
        quantity=exact_text(line.quantity),
        included=exact_text(line.included),
        events=line.events,
        amount=exact_text(line.amount),
        amount_minor=line_minor(line.amount, currency),
        steps=[_to_api_step(step) for step in line.steps],
    )


def _to_api_step(step: Step) -> StepOut:
    return StepOut(
        kind=step.kind,
        quantity=exact_text(step.quantity),
        amount=exact_text(step.amount),
        price_nanos=step.price_nanos,
        per_quantity=step.per_quantity,
        percent=step.percent,
        above=step.above,
        up_to=step.up_to,
    )


def exact_text(value: Fraction) -> str:
    """`1.25`, or `1/3` where no decimal is exact."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest != 1 or places == 0:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
