"""Rate cards as JSON: how they are stored and sent."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from omni.domains.pricing.contracts import RateCard
from omni.kit.errors import InvalidInput

_CARD: TypeAdapter[RateCard] = TypeAdapter(RateCard)


def to_json(card: RateCard) -> dict[str, Any]:
    """Plain JSON values; decimals are strings, so that they stay exact."""
    written: dict[str, Any] = _CARD.dump_python(card, mode="json")
    return written


def from_json(data: object) -> RateCard:
    """The card that `to_json` wrote. Raises InvalidInput `invalid_rate_card` that names the member that is wrong.

    Its shape is checked; what it means is checked by `rules.checks.check_card`.
    """
    try:
        return _CARD.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the card"
        raise InvalidInput("invalid_rate_card", f"{where}: {first['msg']}", param=where) from None
