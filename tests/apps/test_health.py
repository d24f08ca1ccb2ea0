"""Readiness tells the truth, whatever a check meets."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from omni.apps import health
from omni.apps.health import HealthMonitor
from omni.kit.errors import Unavailable


class Service:
    """Something to check, which fails as it is told to."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    async def check(self) -> None:
        if self.trouble is not None:
            raise self.trouble


@pytest.mark.parametrize(
    "trouble",
    [
        Unavailable("x", "away"),
        OSError("refused"),
        RedisConnectionError("gone"),
        RuntimeError("a bug in the check"),
    ],
    ids=["ours", "network", "redis", "bug"],
)
async def test_the_monitor_survives_trouble_and_says_so(trouble: Exception) -> None:
    service = Service()
    monitor = HealthMonitor({"service": service.check})
    assert monitor.health()[0] is False
    await monitor.check_now()
    assert monitor.health() == (True, b'{"status":"ok","checks":{"service":"ok"}}')
    service.trouble = trouble
    await monitor.check_now()
    assert monitor.health()[0] is False
    service.trouble = None
    await monitor.check_now()
    assert monitor.health()[0] is True


async def test_a_check_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.01)
    monitor = HealthMonitor({"service": asyncio.Event().wait})  # type: ignore[dict-item]
    await monitor.check_now()
    assert b"does not answer" in monitor.health()[1]


async def test_no_news_is_bad_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = HealthMonitor({})
    assert monitor.health()[0] is True
    monkeypatch.setattr(health, "STALE_SECONDS", -1.0)
    assert b"has not run its checks" in monitor.health()[1]


async def test_a_stopping_process_is_not_ready() -> None:
    monitor = HealthMonitor({})
    monitor.stopping()
    assert b"is stopping" in monitor.health()[1]
