"""Use cases of metering, a file each."""

from __future__ import annotations

from omni.domains.metering.service.measuring import events_of, measure, measure_windows, transactions
from omni.domains.metering.service.meters import count_meter, list_meters, seed_meters
from omni.domains.metering.service.stream import (
    Counters,
    Drain,
    ensure_partitions,
    record,
    spent,
)
from omni.domains.metering.service.verification import verify

__all__ = [
    "Counters",
    "Drain",
    "count_meter",
    "ensure_partitions",
    "events_of",
    "list_meters",
    "measure",
    "measure_windows",
    "record",
    "seed_meters",
    "spent",
    "transactions",
    "verify",
]
