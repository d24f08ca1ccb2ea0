"""The status page while all else is dead."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.acceptance.platform import Platform, until
from tests.domains.status.shape import Summary

FLIP_SECONDS = 60.0


@pytest.fixture
def own_platform(tmp_path: Path) -> Iterator[Platform]:
    """It is stopped and continued, so it is not shared."""
    with Platform(tmp_path) as started:
        yield started


def summary(platform: Platform) -> dict[str, Any]:
    """Within two seconds, whatever else hangs."""
    answer = httpx2.get(f"{platform.run_file()['status']}/api/v2/summary.json", timeout=2, trust_env=False)
    document: dict[str, Any] = answer.json()
    Summary.model_validate(document)
    return document


def states(platform: Platform) -> dict[str, str]:
    return {component["id"]: component["status"] for component in summary(platform)["components"]}


@contextlib.contextmanager
def stopped(platform: Platform, *names: str) -> Iterator[None]:
    """Processes and their children stand still; PostgreSQL's are children of its own."""
    family = []
    for name in names:
        leader = psutil.Process(platform.run_file()["pids"][name])
        family += [leader, *leader.children(recursive=True)]
    for member in family:
        os.kill(member.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for member in family:
            os.kill(member.pid, signal.SIGCONT)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_it_answers_and_flips_while_gateway_database_and_redis_are_gone(own_platform: Platform) -> None:
    platform = own_platform
    up = {"api": "operational", "console": "operational", "inference": "operational", "jobs": "operational"}
    until(lambda: states(platform) == up, 60, "all are probed and well")
    opened = platform.command("status", "open", "Power failure", "--body", "We look.", "--component", "api", "--json")
    assert opened.returncode == 0, opened.stderr
    started = time.monotonic()
    with stopped(platform, "gateway", "postgres", "redis"):
        until(lambda: states(platform)["api"] == "major_outage", FLIP_SECONDS, "the API is an outage")
        flipped = time.monotonic() - started
        page = httpx2.get(platform.run_file()["status"], timeout=2, trust_env=False)
        assert page.status_code == 200
        assert "Power failure" in page.text
    assert flipped <= FLIP_SECONDS
    platform.wait_until_steady("after it went on")
    incident = summary(platform)["incidents"][0]["id"]
    done = platform.command("status", "update", incident, "--body", "Power is back.", "--status", "resolved")
    assert done.returncode == 0, done.stderr
    until(lambda: states(platform) == up, 60, "all are well again")


def test_what_is_wrong_on_the_command_line_is_one_sentence(platform: Platform) -> None:
    wrong = platform.command("status", "update", "none", "--body", "x")
    assert (wrong.returncode, wrong.stderr) == (1, "omni: There is no incident or maintenance with this id.\n")
    token = platform.command("status", "token").stdout.strip()
    assert token.startswith("omni_status_")
    url = f"{platform.run_file()['status']}/api/incidents"
    for header, status in ((f"Bearer {token}", 400), ("Bearer other", 401)):
        answer = httpx2.post(url, json={}, headers={"Authorization": header}, timeout=5, trust_env=False)
        assert answer.status_code == status
