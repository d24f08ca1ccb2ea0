"""Bodies of the price book's API."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class PriceOut(BaseModel):
    """A price."""

    meter: str = Field(examples=["input_tokens"])
    currency: str = Field(examples=["EUR"])
    valid_from: datetime
    price_nanos: int = Field(description="Nano-units of the currency for `per_quantity` units.", examples=[20_000_000])
    per_quantity: int = Field(examples=[1_000_000])
    model: str = Field(description="Empty = every model without a price of its own.", examples=[""])


class PriceList(BaseModel):
    data: list[PriceOut]


class NewPrice(BaseModel):
    """A price that follows the present one."""

    model_config = ConfigDict(extra="forbid")

    meter: str = Field(min_length=1, max_length=64, examples=["input_tokens"])
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["EUR"])
    valid_from: AwareDatetime = Field(description="A full hour in the future.", examples=["2027-01-01T00:00:00Z"])
    price_nanos: int = Field(ge=0, lt=2**53, examples=[20_000_000])
    per_quantity: int = Field(ge=1, lt=2**53, examples=[1_000_000])
    model: str = Field("", max_length=200, description="Empty = every model without a price of its own.")
