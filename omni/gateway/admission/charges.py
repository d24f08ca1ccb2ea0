"""What of the quantities of a request is charged, and what it costs the platform."""

from __future__ import annotations

from typing import Final

from omni.contracts.money import amount_nanos
from omni.contracts.routes import Target
from omni.contracts.usage import BATCH_PREFIX, COST_NANOS, REQUESTS

OWN_KEY_PREFIX: Final = "own_"
"""Of the meters of requests that a tenant makes with its own provider key: the provider bills these to the tenant."""


def in_batch(quantities: dict[str, int]) -> dict[str, int]:
    """The quantities of a request that is part of a batch. What a tenant's own provider key pays for stays as it is."""
    return {
        meter if meter == COST_NANOS or meter.startswith(OWN_KEY_PREFIX) else BATCH_PREFIX + meter: size
        for meter, size in quantities.items()
    }


def as_counted(quantities: dict[str, int]) -> dict[str, int]:
    """The same quantities under the meters' plain names, as the provider counted them."""
    return {meter.removeprefix(BATCH_PREFIX).removeprefix(OWN_KEY_PREFIX): size for meter, size in quantities.items()}


def charged(quantities: dict[str, int], target: Target, *, own_key: bool) -> dict[str, int]:
    """The quantities as they go into the usage event."""
    if own_key:
        return {meter if meter == REQUESTS else OWN_KEY_PREFIX + meter: size for meter, size in quantities.items()}
    if target.cost:
        return {**quantities, COST_NANOS: amount_nanos(quantities, target.cost)}
    return quantities
