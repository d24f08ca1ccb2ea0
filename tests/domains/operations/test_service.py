"""What is read over HTTP, and the file in which it stays."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import orjson
import pytest

from omni.domains.operations.contracts import SPANS, Cell, Target
from omni.domains.operations.repository import STEPS, FiguresFile
from omni.domains.operations.service import (
    AlertmanagerReader,
    Collector,
    OverviewService,
    TargetsUnreadable,
    read_targets,
)
from omni.kit.clock import ManualClock

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
METRICS = """# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{{le="0.1",http_response_status_code="200"}} {good}
http_server_request_duration_seconds_bucket{{le="+Inf",http_response_status_code="200"}} {good}
http_server_request_duration_seconds_count{{http_response_status_code="200"}} {good}
http_server_request_duration_seconds_count{{http_response_status_code="500"}} {failed}
# TYPE omni_build_info gauge
omni_build_info{{process="gateway",version="1.2.3"}} 1
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1048576
# TYPE process_start_time_seconds gauge
process_start_time_seconds {started}
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
"""


class Machine:
    """Two processes and an Alertmanager, as they answer over HTTP."""

    def __init__(self) -> None:
        self.good, self.failed = 0, 0
        self.gateway_is_up = True
        self.alertmanager: httpx2.Response = httpx2.Response(200, json=[])

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/api/v2/alerts":
            assert dict(request.url.params) == {"active": "true", "silenced": "false", "inhibited": "false"}
            return self.alertmanager
        assert request.url.path == "/metrics"
        if request.url.port == 9001:
            if not self.gateway_is_up:
                raise httpx2.ConnectError("refused", request=request)
            started = START.timestamp() - 3600
            return httpx2.Response(200, text=METRICS.format(good=self.good, failed=self.failed, started=started))
        return httpx2.Response(200, text="this is no metric {")


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def http(machine: Machine) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(machine.answer)) as client:
        yield client


@pytest.fixture
def targets_file(tmp_path: Path) -> Path:
    file = tmp_path / "targets.json"
    groups = [
        {"targets": ["127.0.0.1:9001"], "labels": {"process": "gateway"}},
        {"targets": ["127.0.0.1:9002"], "labels": {"process": "worker"}},
    ]
    file.write_bytes(orjson.dumps(groups))
    return file


class Page:
    """Everything behind the page, with a clock by hand."""

    def __init__(self, targets_file: Path, http: httpx2.AsyncClient, alertmanager: AlertmanagerReader | None) -> None:
        self.clock = ManualClock(START)
        self.figures = FiguresFile(targets_file.parent / "console" / "figures.sqlite3")
        self.collector = Collector(targets_file, self.figures, self.clock, lambda: self.clock.now().timestamp())
        self.overview = OverviewService(self.collector, self.figures, alertmanager, self.clock)
        self._http = http

    async def rounds(self, number: int) -> None:
        for _ in range(number):
            self.clock.advance(timedelta(seconds=15))
            await self.collector.read_round(self._http)


@pytest.fixture
def page(targets_file: Path, http: httpx2.AsyncClient) -> Page:
    return Page(targets_file, http, None)


async def test_the_page_tells_what_the_gateway_did(page: Page, machine: Machine) -> None:
    await page.rounds(1)
    machine.good, machine.failed = 90, 10
    await page.rounds(4)
    overview = await page.overview.overview(SPANS["1h"])
    assert overview.totals.requests == 100
    assert overview.totals.failed == 10
    assert overview.totals.requests_per_second == pytest.approx(100 / 60)
    assert overview.totals.p95_seconds == pytest.approx(0.095)
    requests = next(chart for chart in overview.charts if chart.code == "requests")
    assert [line.name for line in requests.lines] == ["2xx", "5xx"]
    gateway, worker = overview.processes
    assert (gateway.name, gateway.up, gateway.version) == ("gateway", True, "1.2.3")
    assert (gateway.memory_bytes, gateway.cores) == (1048576, 0.0)
    assert gateway.up_since == START - timedelta(hours=1)
    assert (worker.up, worker.version, worker.memory_bytes) == (False, "", None)
    assert [alert.name for alert in overview.alerts] == ["WorkerDown"]
    assert "own checks" in overview.alerts_from


async def test_what_was_down_and_is_back_is_no_alert_any_more(page: Page, machine: Machine) -> None:
    machine.gateway_is_up = False
    await page.rounds(4)
    names = {alert.name for alert in (await page.overview.overview(SPANS["1h"])).alerts}
    assert names == {"GatewayDown", "WorkerDown"}
    machine.gateway_is_up = True
    await page.rounds(1)
    assert [alert.name for alert in (await page.overview.overview(SPANS["1h"])).alerts] == ["WorkerDown"]


async def test_a_file_of_targets_that_is_gone_is_said_and_comes_back(page: Page, targets_file: Path) -> None:
    content = targets_file.read_bytes()
    targets_file.unlink()
    await page.rounds(1)
    overview = await page.overview.overview(SPANS["1h"])
    assert "OMNI_METRICS_TARGETS" in overview.trouble
    assert overview.read_at is None
    targets_file.write_bytes(content)
    await page.rounds(1)
    assert (await page.overview.overview(SPANS["1h"])).trouble == ""


@pytest.mark.parametrize("content", [b"", b"{}x", b"[1]", b'[{"targets": ["a:1"]}]', b"7"])
def test_a_file_that_is_no_list_of_targets_says_so(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "targets.json"
    file.write_bytes(content)
    with pytest.raises(TargetsUnreadable, match="no list of targets"):
        read_targets(file)


def test_targets_are_read_with_their_process(targets_file: Path) -> None:
    assert read_targets(targets_file) == [Target("gateway", "127.0.0.1:9001"), Target("worker", "127.0.0.1:9002")]


def alert(name: str, severity: str | None, starts_at: str) -> dict[str, object]:
    labels = {"alertname": name} | ({"severity": severity} if severity else {})
    annotations = {"summary": f"{name} is on"}
    return {"labels": labels, "annotations": annotations, "startsAt": starts_at, "status": {"state": "active"}}


async def test_alertmanager_goes_before_own_checks(
    targets_file: Path, http: httpx2.AsyncClient, machine: Machine
) -> None:
    page = Page(targets_file, http, AlertmanagerReader(http, "http://127.0.0.1:9093/"))
    await page.rounds(4)
    machine.alertmanager = httpx2.Response(
        200,
        json=[
            alert("DatabaseSlow", "warning", "2026-03-01T11:00:00Z"),
            alert("Watchdog", "none", "2026-03-01T10:00:00Z"),
            alert("RedisDown", "critical", "2026-03-01T11:30:00.5+01:00"),
        ],
    )
    overview = await page.overview.overview(SPANS["1h"])
    assert [(alert.name, alert.summary) for alert in overview.alerts] == [
        ("RedisDown", "RedisDown is on"), ("DatabaseSlow", "DatabaseSlow is on"),
    ]  # fmt: skip
    assert overview.alerts_from == "From Alertmanager."
    for broken in (httpx2.Response(503), httpx2.Response(200, text="<html>"), httpx2.Response(200, json={"a": 1})):
        machine.alertmanager = broken
        overview = await page.overview.overview(SPANS["1h"])
        assert [alert.name for alert in overview.alerts] == ["WorkerDown"]
        assert "gave no answer" in overview.alerts_from


def test_figures_are_kept_in_slots_of_each_width(tmp_path: Path) -> None:
    figures = FiguresFile(tmp_path / "figures.sqlite3")
    start = START.timestamp()
    for number in range(41):
        figures.add(start + number * 15, {"a": float(number), "b|x": 1.0})
    assert len(figures.read(start, 15)["a"]) == 41
    assert figures.read(start, 60)["a"][int(start)] == Cell(6.0, 4, 0.0, 3.0)
    assert figures.read(start, 300)["a"][int(start) + 300] == Cell(sum(range(20, 40)), 20, 20.0, 39.0)
    assert figures.read(start, 7200)["b|x"] == {int(start): Cell(41.0, 41, 1.0, 1.0)}
    assert list(figures.read(start + 600, 15)["a"]) == [int(start) + 600]


def test_figures_outlive_the_console_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "figures.sqlite3"
    figures = FiguresFile(path)
    figures.add(START.timestamp(), {"a": 1.0})
    figures.close()
    figures = FiguresFile(path)
    for step, kept in STEPS.items():
        assert figures.read(0, step)["a"][int(START.timestamp())] == Cell(1.0, 1, 1.0, 1.0)
        figures.add((START + kept + timedelta(seconds=step)).timestamp(), {"a": 2.0})
        assert int(START.timestamp()) not in figures.read(0, step)["a"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_round_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    figures = FiguresFile(tmp_path / "figures.sqlite3")
    with pytest.raises(sqlite3.Error):
        figures.add(START.timestamp(), {"a": 1.0, "b": []})  # type: ignore[dict-item]
    assert figures.read(0, 15) == {}
    figures.add(START.timestamp(), {"a": 1.0})
    assert list(figures.read(0, 15)) == ["a"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "figures.sqlite3").write_text("not a database, whatever its name says" * 50)
    with pytest.raises(sqlite3.DatabaseError):
        FiguresFile(tmp_path / "figures.sqlite3")
