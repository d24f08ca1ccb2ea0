"""What a month's availability and credit rest on, as JSON, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from omni.domains.billing.contracts import Charges
from omni.domains.sla.contracts import Loss, Measurement, SlaTable, Stretch


def percent(millipercent: int) -> str:
    """`99900` → `"99.900"`."""
    return str(Decimal(millipercent).scaleb(-3))


def of_measurement(found: Measurement, table: SlaTable | None) -> dict[str, Any]:
    """Everything that the availability can be computed from again."""
    observed = found.observed
    return {
        "query": {
            "from": found.start.isoformat(),
            "until": found.end.isoformat(),
            "slot_minutes": 15,
            "mode": "live",
            "failed": "status >= 500 or status = 0",
            "components": sorted(observed.unwatched_micros or {}),
        },
        "losses": [
            {
                "start": loss.start.isoformat(),
                "valid": loss.valid,
                "failed": loss.failed,
                "down_micros": loss.down_micros,
            }
            for loss in found.losses
        ],
        "outages": _stretches(observed.outages),
        "maintenances": _stretches(observed.maintenances),
        "incidents": [
            {
                "id": each.incident_id,
                "name": each.name,
                "started_at": each.started_at.isoformat(),
                "resolved_at": each.resolved_at.isoformat() if each.resolved_at else None,
            }
            for each in observed.incidents
        ],
        "unwatched_micros": dict(observed.unwatched_micros or {}),
        "tiers": [
            {"below_percent": percent(tier.below_millipercent), "credit_percent": tier.credit_percent}
            for tier in (table.tiers if table else ())
        ],
    }


def of_charges(found: Charges) -> list[dict[str, Any]]:
    """The lines that the base is made of; `share` is how much of a line's span lies in the month."""
    return [
        {
            "invoice_id": str(each.invoice_id),
            "number": each.number,
            "name": each.line.name,
            "card": each.line.card,
            "net_minor": each.line.net_minor,
            "share": str(each.share),
        }
        for each in found.charges
    ]


def losses_of(evidence: Mapping[str, Any]) -> list[Loss]:
    """The losses as they were written down."""
    return [
        Loss(datetime.fromisoformat(each["start"]), each["valid"], each["failed"], each["down_micros"])
        for each in evidence["losses"]
    ]


def _stretches(found: Iterable[Stretch]) -> list[dict[str, str]]:
    return [
        {"component": each.component, "start": each.start.isoformat(), "end": each.end.isoformat()} for each in found
    ]
