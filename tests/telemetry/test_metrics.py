"""Metrics that are put together when they are asked for."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics

from omni.telemetry.metrics import HealthMetrics, PlatformMetrics
from omni.telemetry.tallies import Spread


def test_an_exemplar_is_with_the_bucket_of_its_sample_only() -> None:
    registry = CollectorRegistry()
    spread = Spread("omni_wait_seconds", "Waiting.", ("outcome",), (0.1, 1.0), registry)
    spread.observe(0.5, "ok")
    spread.exemplify(0.5, "abc", "ok")
    lines = generate_open_metrics(registry).decode().splitlines()  # type: ignore[no-untyped-call]
    [named] = [line for line in lines if 'trace_id="abc"' in line]
    assert named.startswith('omni_wait_seconds_bucket{le="1.0",outcome="ok"} 1.0 # {trace_id="abc"} 0.5')


def test_figures_take_the_place_of_those_before() -> None:
    registry = CollectorRegistry()
    metrics = PlatformMetrics(registry)
    metrics.put({"omni_invoices": {("draft",): 2, ("final",): 1}, "omni_redis_commands": {(): 7}})
    metrics.put({"omni_invoices": {("final",): 3}})
    scrape = generate_latest(registry).decode()
    assert 'omni_invoices{status="final"} 3.0' in scrape
    assert "draft" not in scrape
    assert "# TYPE omni_redis_commands_total counter\nomni_redis_commands_total 7.0" in scrape
    with pytest.raises(ValueError, match="no such metric: omni_invented"):
        metrics.put({"omni_invented": {(): 1}})


def test_a_dependency_that_is_gone_is_named() -> None:
    registry = CollectorRegistry()
    HealthMetrics(lambda: {"database": True, "redis": False}, registry)
    scrape = generate_latest(registry).decode()
    assert 'omni_dependency_up{dependency="database"} 1.0' in scrape
    assert 'omni_dependency_up{dependency="redis"} 0.0' in scrape
