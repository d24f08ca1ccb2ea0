"""Amounts as PayPal writes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from omni.kit.errors import InvalidInput
from omni.kit.money import currency_exponent, format_minor

CURRENCIES = frozenset({"CHF", "CZK", "DKK", "EUR", "GBP", "HUF", "JPY", "NOK", "PLN", "SEK", "USD"})
"""Those of Omni that PayPal moves (developer.paypal.com, currency codes)."""
_WHOLE_ONLY = frozenset({"HUF"})
_MOST_MINOR = 10**15


def to_money(amount_minor: int, currency: str) -> dict[str, str]:
    """`6377, "EUR"` → `{"currency_code": "EUR", "value": "63.77"}`. Raises InvalidInput `unpayable_amount`."""
    if amount_minor <= 0:
        raise InvalidInput("unpayable_amount", "An amount to be paid or refunded is more than nothing.")
    if currency not in CURRENCIES:
        raise InvalidInput("unpayable_amount", f"PayPal does not move {currency}.")
    if currency in _WHOLE_ONLY:
        if amount_minor % 10 ** currency_exponent(currency):
            raise InvalidInput("unpayable_amount", f"PayPal takes {currency} without decimals.")
        return {"currency_code": currency, "value": str(amount_minor // 10 ** currency_exponent(currency))}
    return {"currency_code": currency, "value": format_minor(amount_minor, currency).split()[0]}


def to_minor(money: dict[str, Any]) -> tuple[int, str]:
    """`{"currency_code": "EUR", "value": "63.77"}` → `6377, "EUR"`. Raises ValueError for what is no amount."""
    currency = str(money["currency_code"])
    try:
        minor = Decimal(str(money["value"])).scaleb(currency_exponent(currency))
    except ArithmeticError:
        raise ValueError(f"{money['value']!r} is no number") from None
    if not minor.is_finite() or abs(minor) > _MOST_MINOR or minor != int(minor):
        raise ValueError(f"{money['value']!r} is no amount in {currency}")
    return int(minor), currency
