"""Field types of the price book's contracts."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

STRICT = ConfigDict(extra="forbid")


def _no_float(value: object) -> object:
    if not isinstance(value, int | str | Decimal):
        raise ValueError('write it as a string, such as "2.5": a number with a point is not exact')
    return value


Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]
Label = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Dimension = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
Value = Annotated[str, Field(max_length=200)]
Nanos = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Minor = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
_AS_TEXT = WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["2.5"]})
Units = Annotated[
    Decimal, BeforeValidator(_no_float), Field(ge=0, allow_inf_nan=False, max_digits=30, decimal_places=12), _AS_TEXT
]
Percent = Annotated[
    Decimal,
    BeforeValidator(_no_float),
    Field(ge=0, le=100, allow_inf_nan=False, max_digits=15, decimal_places=12),
    _AS_TEXT,
]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
