"""What fields of the endpoints' requests share."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

NO_NUL = r"^[^\x00]*$"
"""The pattern of text that PostgreSQL stores: every character but this one."""

_BEGINS_WITH_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_HIGHEST_PRICE = 999_999_999
_ANY_INSTANT = TypeAdapter(datetime)


def _read_instant(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _BEGINS_WITH_DATE.match(value):
        with suppress(ValidationError):
            return _ANY_INSTANT.validate_python(value)
    raise PydanticCustomError("timestamp_invalid", "Input should be a date or a time as ISO 8601 writes it")


Timestamp = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}),
]
"""An instant, or a date, which stands for its midnight."""


def _read_price(value: object) -> Decimal:
    if isinstance(value, str) and _PRICE.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and 0 <= value <= _HIGHEST_PRICE:
        return Decimal(str(value))
    raise PydanticCustomError(
        "price_invalid", 'Input should be a price from 0 to 999999999 with at most nine decimals, such as "12.50"'
    )


Price = Annotated[
    Decimal,
    BeforeValidator(_read_price),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_PRICE.pattern}$"},
                {"type": "number", "minimum": 0, "maximum": _HIGHEST_PRICE},
            ]
        }
    ),
]
"""What something may cost, in units of a currency: best as text, which has every digit that was meant."""

EchoedTime = Annotated[datetime, WithJsonSchema({"type": "string", "examples": ["2026-01-31T00:00:00Z"]})]
"""An instant of an answer, as ISO 8601 writes it: with an offset where the request's had one."""
