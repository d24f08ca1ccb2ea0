"""After a whole run: what dashboards and rules ask for is exported, and what is exported is on a dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from omni.gateway.metrics import CACHE_OUTCOMES, POLICY_DECISIONS
from tests.acceptance.driving import (
    drive_cache,
    drive_documents,
    drive_jobs,
    drive_models,
    drive_policies,
    driver,
)
from tests.acceptance.platform import Platform, until
from tools.observability import coverage
from tools.observability.promql import selectors


def scrape(platform: Platform) -> dict[str, set[str]]:
    """Names of all processes' samples, with their labels."""
    found: dict[str, set[str]] = {}
    for url in platform.run_file()["metrics"].values():
        for name, labels in coverage.samples(httpx2.get(url, trust_env=False, timeout=30).text).items():
            found.setdefault(name, set()).update(labels)
    return found


pytestmark = pytest.mark.timeout(420)

Value = tuple[str, frozenset[str]]
"""A sample's name and the values of its labels."""

DRIVEN: Mapping[str, Sequence[tuple[str, ...]]] = {
    "omni_response_cache_total": CACHE_OUTCOMES,
    "omni_policy_decisions_total": POLICY_DECISIONS,
    "omni_serving_processes": [("resting",)],
    "omni_serving_memory_bytes": [()],
    "omni_serving_start_duration_seconds_count": [("cold", "ready"), ("restart", "ready"), ("trial", "ready")],
    "omni_serving_ends_total": [("evicted",), ("killed",), ("tried",)],
    "omni_serving_run_duration_seconds_count": [("answered",), ("ended",)],
    "omni_serving_wait_seconds_count": [()],
    "omni_serving_joined_requests_count": [()],
    "omni_prediction_duration_seconds_count": [("onnx", "ok"), ("onnx", "process_ended"), ("automl", "ok")],
    "omni_model_uploads_total": [("stored",), ("refused",)],
    "omni_deployment_requests_total": [("live", "ok"), ("canary", "ok")],
    "omni_deployment_shadows_total": [("agreed",), ("differed",)],
    "omni_canary_decisions_total": [("rolled_back", "latency")],
    "omni_training_duration_seconds_count": [("done",)],
    "omni_training_trials_total": [()],
    "omni_ingest_duration_seconds_count": [("created",), ("unchanged",), ("replaced",)],
    "omni_ingest_chunks_total": [("embedded",)],
    "omni_job_slice_duration_seconds_count": [("batch", "succeeded"), ("automl", "succeeded")],
}
"""What has a value once it was driven; of the cache and of policies: everything that may be counted."""


def values(platform: Platform) -> dict[Value, float]:
    """Of all processes' samples; of those of the same name and label values the last."""
    found = {}
    for url in platform.run_file()["metrics"].values():
        text = httpx2.get(url, trust_env=False, timeout=30).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name, frozenset(sample.labels.values())] = sample.value
    return found


def without_value(found: Mapping[Value, float]) -> list[tuple[str, tuple[str, ...]]]:
    """What should have been counted and was not."""
    return [(name, labels) for name, wanted in DRIVEN.items() for labels in wanted
            if not found.get((name, frozenset(labels)))]  # fmt: skip


@pytest.fixture(scope="module")
def exported(platform: Platform) -> dict[str, set[str]]:
    """The scrape after the tour, which embeds, is limited and ends with an invoice, after a refusal, and after what few
    callers use was driven."""
    done = platform.command("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    with platform.api("omni_live_unknown") as stranger:
        assert stranger.get("/v1/models").status_code == 401
    until(lambda: {"omni_invoices", "omni_revenue_minor"} <= scrape(platform).keys(), 30, "the invoice in the figures")
    with driver(platform) as driven:
        for drive in (drive_cache, drive_policies, drive_models, drive_jobs, drive_documents):
            drive(driven)
    return scrape(platform)


def test_what_was_driven_has_values(platform: Platform, exported: dict[str, set[str]]) -> None:
    assert exported.keys() >= DRIVEN.keys()
    until(lambda: not without_value(values(platform)), 10, "a value of all that was driven")
    found = values(platform)
    found["omni_response_cache_total", frozenset(("semantic",))] = 0.0
    assert without_value(found) == [("omni_response_cache_total", ("semantic",))]


def test_no_panel_and_no_rule_asks_for_what_is_not_there(exported: dict[str, set[str]]) -> None:
    known = exported | coverage.recorded()
    queries = [*coverage.panel_queries(), *coverage.rule_queries()]
    assert len(queries) > 200
    assert coverage.orphans(queries, known) == []
    planted = ("planted", "sum(rate(omni_invented_total[5m]))")
    assert coverage.orphans([*queries, planted], known) == ["planted: nobody exports omni_invented_total"]


def test_everything_exported_is_on_a_panel(exported: dict[str, set[str]]) -> None:
    queries = list(coverage.panel_queries())
    assert coverage.unseen(queries, exported) == []
    assert coverage.unseen(queries, [*exported, "omni_planted_total"]) == ["omni_planted_total"]


def test_what_may_be_missing_is_known_to_the_platform() -> None:
    asked = {selector.name for _, query in coverage.panel_queries() for selector in selectors(query)}
    assert coverage.ONLY_SOMETIMES.keys() <= asked
