"""Who is gone: by the probability of being alive, and by how long there was no purchase.

The BG/NBD holds everybody alive who has bought once only (dropout comes after repeat purchases), so that only time says
something of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from omni.inference.tabular.customers.churn_schemas import (
    ChurnCounts,
    ChurnedCustomer,
    ChurnRequest,
    ChurnResponse,
    Status,
)
from omni.inference.tabular.customers.schemas import History, PurchaseModel
from omni.kit.errors import InvalidInput

Reason = Literal["probability", "idle"]


def check_thresholds(request: ChurnRequest) -> None:
    """Raises InvalidInput `thresholds_invalid` where one would be at risk only after having churned."""
    if request.churned_below > request.at_risk_below:
        raise InvalidInput(
            "thresholds_invalid", "`churned_below` must be at most `at_risk_below`.", param="churned_below"
        )
    at_risk, churned = request.idle_at_risk_after, request.idle_churned_after
    if at_risk is not None and churned is not None and churned < at_risk:
        raise InvalidInput(
            "thresholds_invalid", "`idle_churned_after` must be at least `idle_at_risk_after`.",
            param="idle_churned_after",
        )  # fmt: skip


def judged(request: ChurnRequest, alive: Sequence[float], engine: str, model: PurchaseModel) -> ChurnResponse:
    """The answer, by the probability [customers] that each is alive."""
    customers = [_customer(request, each, share) for each, share in zip(request.customers, alive, strict=True)]
    counts = Counter(customer.status for customer in customers)
    return ChurnResponse(
        engine=engine,
        purchases=model,
        counts=ChurnCounts(
            active=counts["active"], at_risk=counts["at_risk"], churned=counts["churned"], unknown=counts["unknown"]
        ),
        customers=customers,
    )


def _customer(request: ChurnRequest, history: History, alive: float) -> ChurnedCustomer:
    known = alive if history.frequency else None
    idle = history.age - history.recency
    status, reason = _status(request, known, idle)
    return ChurnedCustomer(
        id=history.id,
        status=status,
        reason=reason,
        probability_alive=known,
        idle=idle,
        mean_interval=history.recency / history.frequency if history.frequency else None,
    )


def _status(request: ChurnRequest, alive: float | None, idle: float) -> tuple[Status, Reason | None]:
    """The worse of what both thresholds say; probability is named where both say the same."""
    levels: tuple[tuple[Status, float, float | None], ...] = (
        ("churned", request.churned_below, request.idle_churned_after),
        ("at_risk", request.at_risk_below, request.idle_at_risk_after),
    )
    for status, below, after in levels:
        if alive is not None and alive < below:
            return status, "probability"
        if after is not None and idle >= after:
            return status, "idle"
    nothing_known = alive is None and request.idle_churned_after is None and request.idle_at_risk_after is None
    return ("unknown" if nothing_known else "active"), None
