"""What the processes of a whole platform export."""

from __future__ import annotations

import httpx2
import pytest

from omni.telemetry.metrics import PlatformMetrics
from tests.acceptance.platform import Platform, until
from tools.metric_lint import findings


def scrape(platform: Platform, process: str) -> str:
    return httpx2.get(platform.run_file()["metrics"][process], trust_env=False).text


@pytest.mark.parametrize("process", ["gateway", "backend", "console", "worker", "status"])
def test_every_scrape_passes_the_lint(platform: Platform, process: str) -> None:
    text = scrape(platform, process)
    assert findings(text) == []
    assert f'process="{process}",version=' in text


def test_the_worker_tells_of_database_redis_tasks_and_business(platform: Platform) -> None:
    names = [f"\n# HELP {name}" for name in (*PlatformMetrics.GAUGES, *PlatformMetrics.COUNTERS)]
    until(lambda: all(name in scrape(platform, "worker") for name in names), 30, "every figure")
    done = 'omni_task_duration_seconds_count{outcome="ok",task="plans.publish_snapshot"}'
    until(lambda: done in scrape(platform, "worker"), 30, "what the task worker did")
    text = scrape(platform, "worker")
    assert 'db_client_operation_duration_seconds_count{db_operation_name="SELECT"}' in text
    assert 'omni_dependency_up{dependency="redis"} 1.0' in text
    assert "omni_verification_differences 0.0" in text


def test_the_backend_tells_of_its_engines(platform: Platform) -> None:
    with platform.api() as client:
        body = {"model": "all-MiniLM-L6-v2", "input": "Hello"}
        assert client.post("/v1/embeddings", json=body).status_code == 200
    text = scrape(platform, "backend")
    assert 'omni_engine_job_duration_seconds_count{engine="embedder"}' in text
    assert "omni_engine_jobs 0.0" in text
    assert 'db_client_connection_count{db_client_connection_pool_name="omni-backend"' in text
