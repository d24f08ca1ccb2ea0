"""What other domains and the composition roots may use of metering."""

from __future__ import annotations

from omni.domains.metering.service import (
    Counters,
    Drain,
    billable_usage,
    billable_usage_from_events,
    ensure_partitions,
    record,
    seed_meters,
    spent,
    usage_series,
    verify,
)

__all__ = [
    "Counters",
    "Drain",
    "billable_usage",
    "billable_usage_from_events",
    "ensure_partitions",
    "record",
    "seed_meters",
    "spent",
    "usage_series",
    "verify",
]
