"""Percentages and prices in events: each transaction is priced by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from omni.domains.pricing.contracts import Percentage, PriceInEvent, Step, Transacted
from omni.domains.pricing.rules.steps import money
from omni.kit.errors import InvalidInput

_NOTHING = Fraction(0)
Group = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Charged:
    """What the transactions of one group come to so far."""

    value: Fraction = _NOTHING
    events: int = 0
    steps: dict[str, Step] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        """Adds to the step of the same kind."""
        if not step.quantity and not step.amount:
            return
        known = self.steps.get(step.kind)
        if known is not None:
            quantity, amount = known.quantity + step.quantity, known.amount + step.amount
            step = Step(step.kind, quantity, amount, step.price_nanos, step.per_quantity, step.percent)
        self.steps[step.kind] = step


def charge(price: Percentage | PriceInEvent, transactions: Sequence[tuple[Group, Transacted]]) -> dict[Group, Charged]:
    """What each group's transactions come to; what is free is shared by the groups in the order of the transactions.

    Raises InvalidInput `invalid_quantity` for a value or price that is negative or not finite, `event_without_price`.
    """
    found: dict[Group, Charged] = {}
    allowance = _Allowance(price) if isinstance(price, Percentage) else None
    for group, transaction in transactions:
        charged = found.setdefault(group, Charged())
        value = exact(transaction.value)
        charged.value += value
        charged.events += 1
        if allowance is not None:
            _charge_share(allowance, value, charged)
        elif transaction.price is None:
            raise InvalidInput("event_without_price", "Each event of this rate card must say its price.")
        else:
            charged.add(Step("price_in_event", value, exact(transaction.price)))
    return found


def exact(value: Decimal | Fraction) -> Fraction:
    """Raises InvalidInput `invalid_quantity` for what is negative or not finite."""
    finite = value.is_finite() if isinstance(value, Decimal) else True
    if not finite or value < 0:
        raise InvalidInput("invalid_quantity", "Quantities, values and prices must be finite and not negative.")
    return Fraction(value)


class _Allowance:
    """What is still free of a percentage."""

    def __init__(self, price: Percentage) -> None:
        self.price = price
        self._transactions = price.free_transactions
        self._value = None if price.free_value is None else Fraction(price.free_value)

    def take(self, value: Fraction) -> tuple[Fraction, bool]:
        """How much of a value is free, and whether that is the whole transaction."""
        if (self._transactions is None and self._value is None) or self._transactions == 0 or self._value == 0:
            return _NOTHING, False
        free = value if self._value is None else min(value, self._value)
        if self._transactions is not None:
            self._transactions -= 1
        if self._value is not None:
            self._value -= free
        return free, free == value


def _charge_share(allowance: _Allowance, value: Fraction, charged: Charged) -> None:
    price = allowance.price
    free, wholly = allowance.take(value)
    charged.add(Step("free_value", free, _NOTHING))
    if wholly:
        return
    share = (value - free) * Fraction(price.percent) * Fraction(1, 100)
    charged.add(Step("percentage", value - free, share, percent=price.percent))
    charged.add(Step("fixed", Fraction(1), money(price.fixed_nanos), price.fixed_nanos, 1))
    due = share + money(price.fixed_nanos)
    if price.minimum_nanos is not None and due < money(price.minimum_nanos):
        charged.add(Step("raised_to_minimum", Fraction(1), money(price.minimum_nanos) - due))
    elif price.maximum_nanos is not None and due > money(price.maximum_nanos):
        charged.add(Step("lowered_to_maximum", Fraction(1), money(price.maximum_nanos) - due))
