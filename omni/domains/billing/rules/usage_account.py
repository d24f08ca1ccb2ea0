"""What was used beside what bills it, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from omni.domains.billing.contracts import NOTHING, Counted, Line, SaleState
from omni.domains.billing.rules.records import QUANTITY_DIGITS, to_decimal
from omni.domains.metering.contracts import WindowMeasured
from omni.kit.money import divide_half_even

LineKey = tuple[object, ...]
_TRUE_UPS = ("card_minimum", "card_maximum")


@dataclass(frozen=True, slots=True)
class Sale:
    """A price of a meter holds in [start, end) for usage whose dimensions have these values."""

    start: datetime
    end: datetime
    filters: Mapping[str, Sequence[str]]

    def sells(self, used: WindowMeasured) -> bool:
        """Whether it is for usage of a window that lies within it or outside of it."""
        carried = dict(used.dimensions)
        within = self.start <= used.start < self.end
        return within and all(carried[name] in values for name, values in self.filters.items())


def add(left: Counted, right: Counted) -> Counted:
    quantity = None if left.quantity is None or right.quantity is None else left.quantity + right.quantity
    return Counted(left.events + right.events, quantity)


def by_key(lines: Iterable[Line]) -> dict[LineKey, Counted]:
    """What the lines of meters count, by what their corrections have in common with them."""
    found: dict[LineKey, Counted] = {}
    for line in lines:
        if line.meter is not None:
            found[line.key] = add(found.get(line.key, NOTHING), Counted(line.events, line.quantity))
    return found


def is_true_up(line: Line) -> bool:
    """Whether it only raises or lowers other lines to the minimum or maximum of their card: nothing was used for it."""
    return bool(line.steps) and all(step["kind"] in _TRUE_UPS for step in line.steps)


def less(found: Counted, true_ups: Counted) -> Counted:
    """What remains of a key without its true-ups."""
    assert found.quantity is not None
    assert true_ups.quantity is not None
    return Counted(found.events, found.quantity - true_ups.quantity)


def differing(left: Counted, right: Counted) -> tuple[str, int, int] | None:
    """What of two counts is not the same, and both sides as integers; None when they agree to twelve decimals."""
    if left.events != right.events:
        return "events", left.events, right.events
    if left.quantity is None or right.quantity is None or not to_decimal(left.quantity - right.quantity):
        return None
    return f"quantity in 10^-{QUANTITY_DIGITS}", _scaled(left.quantity), _scaled(right.quantity)


def _scaled(quantity: Fraction) -> int:
    return divide_half_even(quantity.numerator * 10**QUANTITY_DIGITS, quantity.denominator)


def unsold(
    windows: Sequence[WindowMeasured], sales: Sequence[Sale], due_later: datetime | None, *, sums: bool
) -> dict[SaleState, Counted]:
    """What no price sells, of a meter's usage in windows that no sale begins or ends within; usage from `due_later` on
    is for an invoice to come. `sums` says whether quantities of windows add up."""
    found: dict[SaleState, Counted] = {}
    for each in windows:
        if each.events and not any(sale.sells(each) for sale in sales):
            state: SaleState = "not due" if due_later is not None and each.start >= due_later else "not sold"
            counted = Counted(each.events, each.quantity if sums else None)
            found[state] = add(found[state], counted) if state in found else counted
    return found
