"""Request and response of `/v1/tabular/association-rules`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

MAX_TRANSACTIONS = 10_000
MAX_ITEMS = 100
MAX_TOTAL = 200_000
MAX_ITEMSETS = 20_000
MAX_LENGTH = 5

Item = Annotated[str, Strict(), Field(min_length=1, max_length=200)]
Measure = Literal["lift", "confidence", "support", "leverage"]


class AssociationRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "transactions": [
                        ["bread", "milk"],
                        ["bread", "nappies", "beer", "eggs"],
                        ["milk", "nappies", "beer", "cola"],
                        ["bread", "milk", "nappies", "beer"],
                        ["bread", "milk", "nappies", "cola"],
                    ],
                    "min_support": 0.4,
                    "min_confidence": 0.6,
                }
            ]
        }
    )

    transactions: Annotated[
        list[Annotated[list[Item], Field(max_length=MAX_ITEMS)]],
        Field(
            min_length=1,
            max_length=MAX_TRANSACTIONS,
            description="1 to 10,000 baskets of up to 100 items, 200,000 in all; an item counts once a basket.",
        ),
    ]
    min_support: Annotated[float, Field(gt=0, le=1, description="Least share of baskets with all items of a rule.")]
    min_confidence: Annotated[
        float, Field(ge=0, le=1, description="Least share of baskets with the antecedent that have the consequent.")
    ] = 0.5
    min_lift: Annotated[float, Field(ge=0, le=1e6)] = 0
    max_length: Annotated[int, Field(ge=2, le=MAX_LENGTH, description="Most items of a rule, both sides together.")] = 3
    sort_by: Annotated[Measure, Field(description="Rules come with the highest first.")] = "lift"
    limit: Annotated[int, Field(ge=1, le=1_000, description="Most rules to return; `total_rules` counts all.")] = 100


class Rule(BaseModel):
    antecedent: list[str]
    consequent: list[str]
    count: Annotated[int, Field(description="Baskets with all its items.")]
    support: Annotated[float, Field(description="P(A and C).")]
    confidence: Annotated[float, Field(description="P(C | A).")]
    lift: Annotated[float, Field(description="P(C | A) / P(C); 1 = independent.")]
    leverage: Annotated[float, Field(description="P(A and C) - P(A) P(C).")]
    conviction: Annotated[
        float | None, Field(description="(1 - P(C)) / (1 - confidence); null where it is infinite: confidence 1.")
    ]


class AssociationResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    transactions: int
    items: Annotated[int, Field(description="Different items.")]
    itemsets: Annotated[int, Field(description="Sets of 1 to `max_length` items with the support asked for.")]
    total_rules: Annotated[int, Field(description="Rules that meet all conditions.")]
    rules: Annotated[list[Rule], Field(description="The first `limit` of them.")]
