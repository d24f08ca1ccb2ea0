"""What `/v1/customers/…` does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.customers.churn import check_thresholds, judged
from omni.inference.tabular.customers.churn_schemas import ChurnRequest, ChurnResponse
from omni.inference.tabular.customers.purchases import Purchases
from omni.inference.tabular.customers.schemas import (
    LEAST_CUSTOMERS,
    Customer,
    CustomerValue,
    History,
    LifetimeValueRequest,
    LifetimeValueResponse,
    PurchaseModel,
    ValueModel,
)
from omni.kit.errors import InvalidInput, Unprocessable

if TYPE_CHECKING:
    from omni.inference.tabular.customers.models import CustomerModels, Fitted

DISCOUNT_STEPS = 200


class CustomerService:
    """Values customers, and says who is gone."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._models: LazyEngine[CustomerModels] = LazyEngine(
            "omni.inference.tabular.customers.models", lambda module: module.CustomerModels()
        )

    async def value(self, call: Call, request: LifetimeValueRequest) -> LifetimeValueResponse:
        """Both models and each customer's figures.

        Raises InvalidInput `too_few_rows` or `customers_invalid`, Unprocessable `customers_not_fitted`.
        """
        _check(request.customers)
        response = await self._pool.run(call, "tabular", lambda: _work(self._models.get(), call, request))
        call.usage.model = f"{response.engine}/bg-nbd"
        return response

    async def churn(self, call: Call, request: ChurnRequest) -> ChurnResponse:
        """Each customer's status.

        Raises InvalidInput `too_few_rows`, `customers_invalid` or `thresholds_invalid`, Unprocessable
        `customers_not_fitted`.
        """
        _check(request.customers)
        check_thresholds(request)

        def work() -> ChurnResponse:
            models = self._models.get()
            given, fitted = _fitted(models, call, request.customers)
            alive = _finite(models.probability_alive(fitted.parameters, given))
            return judged(request, alive.tolist(), models.name, _to_api(fitted))

        response = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{response.engine}/bg-nbd"
        return response


def _check(customers: Sequence[History]) -> None:
    if len(customers) < LEAST_CUSTOMERS:
        raise InvalidInput("too_few_rows", f"Send at least {LEAST_CUSTOMERS} customers.", param="customers")
    seen: set[str] = set()
    for index, customer in enumerate(customers):
        reason = None
        if customer.id in seen:
            reason = "the id comes twice"
        elif customer.recency > customer.age:
            reason = "`recency` is later than `age`"
        elif (customer.frequency > 0) != (customer.recency > 0):
            reason = "`recency` is 0 exactly where `frequency` is"
        elif customer.frequency == 0 and isinstance(customer, Customer) and customer.mean_value is not None:
            reason = "`mean_value` is of repeat purchases; there are none"
        if reason is not None:
            raise InvalidInput("customers_invalid", f"customers[{index}]: {reason}.", param=f"customers[{index}]")
        seen.add(customer.id)


def _work(models: CustomerModels, call: Call, request: LifetimeValueRequest) -> LifetimeValueResponse:
    customers = request.customers
    given, fitted = _fitted(models, call, customers)
    purchases = _finite(models.expected_purchases(fitted.parameters, given, request.horizon))
    alive = _finite(models.probability_alive(fitted.parameters, given))
    values, means = _values(models, call, request, given)
    discounted = purchases if not request.discount_rate else _discounted(models, fitted, given, request)
    return LifetimeValueResponse(
        engine=models.name,
        purchases=_to_api(fitted),
        values=values,
        customers=[
            CustomerValue(
                id=customer.id,
                probability_alive=float(alive[place]),
                expected_purchases=float(purchases[place]),
                expected_mean_value=None if means is None else float(means[place]),
                lifetime_value=None if means is None else float(means[place] * discounted[place]),
            )
            for place, customer in enumerate(customers)
        ],
    )


def _fitted(models: CustomerModels, call: Call, customers: Sequence[History]) -> tuple[Purchases, Fitted]:
    """The purchases and their model. Raises Unprocessable `customers_not_fitted`."""
    table = np.array([(customer.frequency, customer.recency, customer.age) for customer in customers], float)
    given = Purchases(*table.T)
    fitted = models.fit_purchases(given, call.seconds_left) if np.any(given.frequency > 0) else None
    if fitted is None:
        raise Unprocessable(
            "customers_not_fitted",
            "The model of purchases cannot be fitted: there are too few repeat purchases, or nobody ever stops. "
            "Send more customers over a longer time.",
            param="customers",
        )
    return given, fitted


def _finite(figures: np.ndarray) -> np.ndarray:
    if not np.isfinite(figures).all():
        raise Unprocessable(
            "customers_not_fitted", "The fitted model gives no finite figures. Send more customers.", param="customers"
        )
    return figures


def _to_api(fitted: Fitted) -> PurchaseModel:
    r, alpha, a, b = fitted.parameters
    return PurchaseModel(r=r, alpha=alpha, a=a, b=b, log_likelihood=fitted.log_likelihood)


def _values(
    models: CustomerModels, call: Call, request: LifetimeValueRequest, given: Purchases
) -> tuple[ValueModel | None, np.ndarray | None]:
    """The model of values and the expected one of each customer; None unless every repeat has a value and it fits."""
    repeats = [customer for customer in request.customers if customer.frequency > 0]
    known = [customer.mean_value for customer in repeats if customer.mean_value is not None]
    if len(known) < len(repeats):
        return None, None
    frequency, mean = np.array([float(customer.frequency) for customer in repeats]), np.array(known)
    fitted = models.fit_values(frequency, mean, call.seconds_left)
    if fitted is None or fitted.parameters[1] <= 1:
        return None, None
    filled = np.array([customer.mean_value or 0.0 for customer in request.customers])
    expected = models.expected_value(fitted.parameters, given.frequency, filled)
    spread = len(known) > 1 and np.ptp(frequency) > 0 and np.ptp(mean) > 0
    correlation = float(np.corrcoef(frequency, mean)[0, 1]) if spread else None
    p, q, v = fitted.parameters
    model = ValueModel(p=p, q=q, v=v, log_likelihood=fitted.log_likelihood, correlation=correlation)
    return model, expected


def _discounted(models: CustomerModels, fitted: Fitted, given: Purchases, request: LifetimeValueRequest) -> np.ndarray:
    """Expected purchases, each discounted to now from the middle of one of DISCOUNT_STEPS parts of the horizon."""
    edges = np.linspace(0, request.horizon, DISCOUNT_STEPS + 1)
    total, before = np.zeros(len(given.age)), np.zeros(len(given.age))
    for start, end in pairwise(edges.tolist()):
        until = models.expected_purchases(fitted.parameters, given, end)
        total += (until - before) * (1 + request.discount_rate) ** (-(start + end) / 2)
        before = until
    return total
