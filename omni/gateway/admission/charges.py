"""What of the quantities of a request is charged, and what it costs the platform."""

from __future__ import annotations

from omni.contracts.money import amount_nanos
from omni.contracts.routes import Target
from omni.contracts.usage import COST_NANOS, REQUESTS

OWN_KEY_PREFIX = "own_"
"""Of the meters of requests that a tenant makes with its own provider key: the provider bills these to the tenant."""


def charged(quantities: dict[str, int], target: Target, *, own_key: bool) -> dict[str, int]:
    """The quantities as they go into the usage event."""
    if own_key:
        return {meter if meter == REQUESTS else OWN_KEY_PREFIX + meter: size for meter, size in quantities.items()}
    if target.cost:
        return {**quantities, COST_NANOS: amount_nanos(quantities, dict(target.cost))}
    return quantities
