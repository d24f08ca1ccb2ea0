"""Request and response of `/v1/customers/churn`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.tabular.customers.schemas import EXAMPLES, MAX_CUSTOMERS, History, PurchaseModel

Share = Annotated[float, Field(ge=0, le=1)]
Idle = Annotated[float, Field(gt=0, le=1e6)]
Status = Literal["active", "at_risk", "churned", "unknown"]


class ChurnRequest(BaseModel):
    """Histories, and from when on a customer is at risk or gone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customers": [
                        {"id": f"c{number}", "frequency": frequency, "recency": recency, "age": age}
                        for number, (frequency, recency, age, _) in enumerate(EXAMPLES, 1)
                    ],
                    "idle_churned_after": 26,
                }
            ]
        }
    )

    customers: Annotated[
        list[History], Field(max_length=MAX_CUSTOMERS, description="20 to 10,000; some must have repeat purchases.")
    ]
    at_risk_below: Annotated[Share, Field(description="At risk when the probability of being alive is less.")] = 0.5
    churned_below: Annotated[Share, Field(description="Churned when it is less; at most `at_risk_below`.")] = 0.2
    idle_at_risk_after: Annotated[
        Idle | None, Field(description="At risk, too, after so long without a purchase; in your unit of time.")
    ] = None
    idle_churned_after: Annotated[
        Idle | None, Field(description="Churned, too, after so long; at least `idle_at_risk_after`.")
    ] = None


class ChurnedCustomer(BaseModel):
    id: str
    status: Annotated[
        Status,
        Field(description="`unknown`: one purchase only, of which the model says nothing, and no threshold of time."),
    ]
    reason: Annotated[
        Literal["probability", "idle"] | None, Field(description="Which threshold decided; null when none was crossed.")
    ]
    probability_alive: Annotated[
        float | None, Field(description="That the customer will ever buy again; null without a repeat purchase.")
    ]
    idle: Annotated[float, Field(description="Time since the last purchase.")]
    mean_interval: Annotated[float | None, Field(description="Between purchases; null without a repeat.")]


class ChurnCounts(BaseModel):
    active: int
    at_risk: int
    churned: int
    unknown: int


class ChurnResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    purchases: PurchaseModel
    counts: Annotated[ChurnCounts, Field(description="Customers by status.")]
    customers: Annotated[list[ChurnedCustomer], Field(description="In the order of the request.")]
