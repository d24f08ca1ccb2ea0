"""What a whole plan comes to in one full billing period."""

from __future__ import annotations

from collections.abc import Mapping

from omni.domains.pricing.contracts import CardUsage, Flat, PlanTerms, RatedLine
from omni.domains.pricing.rules.rating import commitment_line, rate
from omni.kit.errors import InvalidInput
from omni.kit.money import line_minor

_NO_USAGE = CardUsage()


def rate_plan(terms: PlanTerms, usage: Mapping[str, CardUsage]) -> list[RatedLine]:
    """The lines of every card, by card, and the line that raises them to the minimum commitment; `usage` is by card
    code. One-off fees are lines too, but do not count towards the commitment.

    Raises InvalidInput `unknown_rate_card`, and what `rate` does.
    """
    codes = [card.code for card in terms.rate_cards]
    strange = next((code for code in usage if code not in codes), None)
    if strange is not None:
        known = ", ".join(codes) or "none"
        raise InvalidInput("unknown_rate_card", f"There is no rate card {strange}; known are: {known}.", param="card")
    lines: list[RatedLine] = []
    committed_minor = 0
    for card in terms.rate_cards:
        found = usage.get(card.code, _NO_USAGE)
        made = rate(card, found.quantities, found.transactions)
        lines += made
        if not (isinstance(card.price, Flat) and not card.price.recurring):
            committed_minor += sum(line_minor(line.amount, terms.currency) for line in made)
    true_up = commitment_line(committed_minor, terms.minimum_commitment_minor, terms.currency)
    return [*lines, true_up] if true_up else lines
