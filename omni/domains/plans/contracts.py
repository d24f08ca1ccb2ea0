"""A plan as others see it."""

from __future__ import annotations

from dataclasses import dataclass

from omni.contracts.snapshots import PlanSnapshot


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: what it is called and what it allows."""

    name: str
    description: str
    public: bool
    """Whether tenants may choose it themselves."""
    position: int
    """Its place in lists, from 0."""
    limits: PlanSnapshot

    @property
    def code(self) -> str:
        """What tenants refer to; it never changes."""
        return self.limits.code
