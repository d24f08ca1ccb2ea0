"""What other domains and the composition roots may use of metering."""

from __future__ import annotations

from omni.domains.metering.repository.activity import active_tenants, used_this_month
from omni.domains.metering.rules.quantities import to_json
from omni.domains.metering.service import (
    Counters,
    Drain,
    count_meter,
    ensure_partitions,
    events_of,
    list_meters,
    measure,
    measure_windows,
    record,
    seed_meters,
    spent,
    transactions,
    verify,
)
from omni.domains.metering.service.answers import answers_by_slot
from omni.domains.metering.service.ingesting import Reporter, ingest, void
from omni.domains.metering.service.measuring import counted_events, recount
from omni.domains.metering.service.meters import COUNT_METER, add_meter, forget_keys
from omni.domains.metering.service.totals import request_totals
from omni.domains.metering.service.usage import UsageQuery, usage_problems, usage_series

__all__ = [
    "COUNT_METER",
    "Counters",
    "Drain",
    "Reporter",
    "UsageQuery",
    "active_tenants",
    "add_meter",
    "answers_by_slot",
    "count_meter",
    "counted_events",
    "ensure_partitions",
    "events_of",
    "forget_keys",
    "ingest",
    "list_meters",
    "measure",
    "measure_windows",
    "record",
    "recount",
    "request_totals",
    "seed_meters",
    "spent",
    "to_json",
    "transactions",
    "usage_problems",
    "usage_series",
    "used_this_month",
    "verify",
    "void",
]
