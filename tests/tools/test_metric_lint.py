"""The metric lint finds what is planted."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tools.metric_lint import findings, label_values


def exposition(*metrics: tuple[type, str, str, tuple[str, ...]], values: int = 1) -> str:
    registry = CollectorRegistry()
    for kind, name, text, labels in metrics:
        made = kind(name, text, labels, registry=registry)
        for number in range(values):
            labelled = made.labels(*[f"{label}-{number}" for label in labels]) if labels else made
            if kind is Histogram:
                labelled.observe(1)
    return generate_latest(registry).decode()


def test_good_metrics_pass() -> None:
    good = exposition(
        (Counter, "omni_good", "Good.", ("outcome",)),
        (Gauge, "omni_size_bytes", "Size.", ()),
        (Histogram, "http_server_request_duration_seconds", "Duration.", ("http_route",)),
    )
    assert findings(good) == []
    assert label_values(good)["outcome"] == 1


@pytest.mark.parametrize(
    ("planted", "values", "says"),
    [
        ((Gauge, "requests", "Requests.", ()), 1, "no name in lower case that begins with"),
        ((Gauge, "omni_Requests", "Requests.", ()), 1, "no name in lower case"),
        ((Histogram, "omni_wait_ms", "Waiting.", ()), 1, "not in a base unit"),
        ((Gauge, "omni_age_minutes", "Age.", ()), 1, "not in a base unit"),
        ((Gauge, "omni_things_total", "Things.", ()), 1, "ends like a counter, but is a gauge"),
        ((Gauge, "omni_things", "", ()), 1, "no help text"),
        ((Counter, "omni_calls", "Calls.", ("tenant",)), 1, "the label tenant is not on the list"),
        ((Counter, "omni_calls", "Calls.", ("url",)), 1, "the label url is not on the list"),
        ((Counter, "omni_calls", "Calls.", ("provider",)), 101, "101 series, more than 100"),
        ((Histogram, "omni_calls_seconds", "Calls.", ("provider",)), 600, "series in one process: more than 6000"),
    ],
)
def test_planted_faults_are_found(planted: tuple[type, str, str, tuple[str, ...]], values: int, says: str) -> None:
    assert any(says in finding for finding in findings(exposition(planted, values=values)))
