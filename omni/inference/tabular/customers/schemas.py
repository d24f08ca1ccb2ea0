"""Request and response of `/v1/customers/lifetime-value`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

MAX_CUSTOMERS = 10_000
LEAST_CUSTOMERS = 20

EXAMPLES = (
    (2, 30.4, 38.9, 22.35), (1, 1.7, 38.9, 11.77), (0, 0, 38.9, None), (0, 0, 38.9, None), (0, 0, 38.9, None),
    (7, 29.4, 38.9, 73.74), (1, 5.0, 38.9, 11.77), (0, 0, 38.9, None), (2, 35.7, 38.9, 25.55), (0, 0, 38.6, None),
    (5, 24.6, 38.6, 28.39), (1, 4.1, 38.6, 46.10), (0, 0, 38.6, None), (3, 26.1, 38.4, 19.60), (10, 34.1, 38.4, 35.31),
    (1, 37.4, 38.4, 14.99), (0, 0, 38.1, None), (4, 12.9, 38.1, 52.64), (1, 20.3, 38.1, 30.97), (0, 0, 38.1, None),
)  # fmt: skip
"""Frequency, recency, age and mean value of as many customers as a request must have."""

Duration = Annotated[float, Strict(), Field(ge=0, le=1e6, allow_inf_nan=False)]


class History(BaseModel):
    """Counts from the first purchase on, which itself does not count. Times in one unit of your choice, e.g. weeks."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    frequency: Annotated[int, Strict(), Field(ge=0, le=100_000, description="Repeat purchases.")]
    recency: Annotated[Duration, Field(description="Time from the first purchase to the last; 0 without a repeat.")]
    age: Annotated[Duration, Field(gt=0, description="Time from the first purchase to now.")]


class Customer(History):
    """A history, and what the purchases were worth."""

    mean_value: Annotated[
        float | None,
        Field(
            gt=0, le=1e12, allow_inf_nan=False, description="Mean value of the repeat purchases; only with a repeat."
        ),
    ] = None


class LifetimeValueRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customers": [
                        {"id": f"c{number}", "frequency": frequency, "recency": recency, "age": age, "mean_value": mean}
                        for number, (frequency, recency, age, mean) in enumerate(EXAMPLES, 1)
                    ],
                    "horizon": 52,
                }
            ]
        }
    )

    customers: Annotated[
        list[Customer],
        Field(max_length=MAX_CUSTOMERS, description="20 to 10,000; some must have repeat purchases."),
    ]
    horizon: Annotated[float, Field(gt=0, le=1e5, description="How far to look ahead, in the same unit of time.")]
    discount_rate: Annotated[
        float, Field(ge=0, le=1, description="Per unit of time; purchases are taken as spread evenly over each unit.")
    ] = 0


class PurchaseModel(BaseModel):
    """BG/NBD (Fader, Hardie, Lee 2005, Marketing Science 24), by maximum likelihood."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float


class ValueModel(BaseModel):
    """Gamma-gamma (Fader, Hardie 2013), by maximum likelihood. It takes value and frequency as independent."""

    p: float
    q: float
    v: float
    log_likelihood: float
    correlation: Annotated[
        float | None,
        Field(description="Of frequency and mean value: far from 0 the model does not fit. Null: no spread."),
    ]


class CustomerValue(BaseModel):
    id: str
    probability_alive: Annotated[float, Field(description="That the customer will ever buy again; 1 without a repeat.")]
    expected_purchases: Annotated[float, Field(description="Within the horizon.")]
    expected_mean_value: Annotated[float | None, Field(description="Of a purchase; null without value model.")]
    lifetime_value: Annotated[float | None, Field(description="Discounted, within the horizon; null without model.")]


class LifetimeValueResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    purchases: PurchaseModel
    values: Annotated[
        ValueModel | None, Field(description="Null when `mean_value` is missing for customers with repeats.")
    ]
    customers: list[CustomerValue]
