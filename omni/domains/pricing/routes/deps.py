"""What the routes work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from omni.foundation.db.sessions import Database
from omni.foundation.http.unit_of_work import UnitOfWork
from omni.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class PricingDeps:
    """What the routes work with. `operator` is a dependency that lets only operators pass."""

    database: Database
    unit_of_work: UnitOfWork
    operator: Callable[..., Awaitable[object]]
    clock: Clock
