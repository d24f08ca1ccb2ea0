"""What `/v1/tabular/association-rules` does."""

from __future__ import annotations

from omni import __version__
from omni.inference.runtime.call import Call
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.associations.mining import FoundRule, Frequent, TooMuch, frequent_sets, rules
from omni.inference.tabular.associations.schemas import (
    MAX_ITEMSETS,
    MAX_TOTAL,
    AssociationRequest,
    AssociationResponse,
    Rule,
)
from omni.kit.errors import InvalidInput, Unprocessable

ENGINE = f"omni-{__version__}"


class AssociationService:
    """Finds rules among baskets."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool

    async def find(self, call: Call, request: AssociationRequest) -> AssociationResponse:
        """The rules.

        Raises InvalidInput `too_many_values`, Unprocessable `too_many_itemsets` rather than cutting anything.
        """
        if sum(map(len, request.transactions)) > MAX_TOTAL:
            raise InvalidInput("too_many_values", f"Send at most {MAX_TOTAL} items in all.", param="transactions")
        response = await self._pool.run(call, "tabular", lambda: _work(call, request))
        call.usage.model = f"{ENGINE}/eclat"
        return response


def _work(call: Call, request: AssociationRequest) -> AssociationResponse:
    try:
        found = frequent_sets(
            request.transactions, request.min_support, request.max_length, MAX_ITEMSETS, call.seconds_left
        )
    except TooMuch:
        raise Unprocessable(
            "too_many_itemsets",
            f"More than {MAX_ITEMSETS} sets of items have this support, or too many had to be tried. Raise "
            "`min_support` or lower `max_length`.",
            param="min_support",
        ) from None
    baskets = len(request.transactions)
    measured = [_measured(rule, found, baskets) for rule in rules(found, request.min_confidence)]
    kept = [rule for rule in measured if rule.lift >= request.min_lift]
    kept.sort(key=lambda rule: (-getattr(rule, request.sort_by), -rule.count, rule.antecedent, rule.consequent))
    return AssociationResponse(
        engine=ENGINE,
        transactions=baskets,
        items=found.different_items,
        itemsets=len(found.counts),
        total_rules=len(kept),
        rules=kept[: request.limit],
    )


def _measured(rule: FoundRule, found: Frequent, baskets: int) -> Rule:
    confidence = rule.both / rule.antecedent_count
    consequent = rule.consequent_count / baskets
    support = rule.both / baskets
    return Rule(
        antecedent=[found.names[item] for item in rule.antecedent],
        consequent=[found.names[item] for item in rule.consequent],
        count=rule.both,
        support=support,
        confidence=confidence,
        lift=rule.both * baskets / (rule.antecedent_count * rule.consequent_count),
        leverage=support - rule.antecedent_count / baskets * consequent,
        conviction=None if rule.both == rule.antecedent_count else (1 - consequent) / (1 - confidence),
    )
