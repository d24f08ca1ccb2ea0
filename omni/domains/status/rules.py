"""From probes to states, without I/O. Names as in Statuspage's public API."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

FAILURES_FOR_OUTAGE = 3


class ComponentState(StrEnum):
    UNKNOWN = "unknown"
    OPERATIONAL = "operational"
    DEGRADED = "degraded_performance"
    OUTAGE = "major_outage"


def component_state(newest_first: Sequence[bool]) -> ComponentState:
    """The state after these probe results."""
    if not newest_first:
        return ComponentState.UNKNOWN
    if newest_first[0]:
        return ComponentState.OPERATIONAL
    recent = newest_first[:FAILURES_FOR_OUTAGE]
    failed_throughout = len(recent) == FAILURES_FOR_OUTAGE and not any(recent)
    return ComponentState.OUTAGE if failed_throughout else ComponentState.DEGRADED


def overall_indicator(states: Sequence[ComponentState]) -> tuple[str, str]:
    """The page's indicator (none, minor, major, critical) and its description."""
    outages = sum(state is ComponentState.OUTAGE for state in states)
    if outages and outages == len(states):
        return "critical", "Major outage of all systems"
    if outages:
        return "major", "Partial outage"
    if any(state is ComponentState.DEGRADED for state in states):
        return "minor", "Degraded performance"
    if not states or any(state is ComponentState.UNKNOWN for state in states):
        return "none", "Waiting for the first probes"
    return "none", "All systems operational"
