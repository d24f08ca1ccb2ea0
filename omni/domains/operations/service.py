"""Reads what the processes say of themselves, keeps it for a while, and tells what it means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import orjson
from prometheus_client.parser import text_string_to_metric_families
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from omni.domains.operations import rules
from omni.domains.operations.contracts import Alert, Overview, Process, Severity, Slots, Span, Target
from omni.domains.operations.repository import FiguresFile
from omni.kit.clock import Clock

_PROCESS_FIGURES = ("process_resident_memory_bytes", "process_start_time_seconds", "omni_build_info")
_CPU_OVER = timedelta(minutes=5)


class TargetsUnreadable(Exception):
    """The file of targets is missing or is none; the message says what to do."""


class Collector:
    """Reads every process's metrics, round by round, into the file."""

    def __init__(
        self,
        targets_file: Path,
        figures: FiguresFile,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._targets_file = targets_file
        self._figures = figures
        self._clock = clock
        self._monotonic = monotonic
        self._readings = rules.Readings()
        self.latest: Mapping[Target, Sequence[rules.Sample] | None] = {}
        """What each process said in the last round; None = it did not answer."""
        self.read_at: datetime | None = None
        self.trouble = ""
        """Why nothing could be read; empty when it could."""

    async def read_round(self, client: httpx2.AsyncClient) -> None:
        """Processes that do not answer are down; a file of targets that cannot be read is `trouble`."""
        try:
            targets = read_targets(self._targets_file)
        except TargetsUnreadable as error:
            self.trouble = str(error)
            return
        answers = await asyncio.gather(*(_scrape(client, target) for target in targets))
        found = dict(zip(targets, answers, strict=True))
        now = self._clock.now()
        figures = self._readings.take(found, self._monotonic())
        await asyncio.to_thread(self._figures.add, now.timestamp(), figures)
        self.latest, self.read_at, self.trouble = found, now, ""


def read_targets(path: Path) -> list[Target]:
    """The processes in a file of Prometheus' file_sd form, each with a label `process`. Raises TargetsUnreadable."""
    try:
        groups = orjson.loads(path.read_bytes())
        return [Target(group["labels"]["process"], address) for group in groups for address in group["targets"]]
    except FileNotFoundError:
        raise TargetsUnreadable(f"{path} is not there: `omni up` writes it, or set OMNI_METRICS_TARGETS.") from None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise TargetsUnreadable(f"{path} is no list of targets ({error!r}); see deploy/observability.") from error


async def _scrape(client: httpx2.AsyncClient, target: Target) -> list[rules.Sample] | None:
    try:
        answer = await client.get(f"http://{target.address}/metrics", headers={"accept": "text/plain"})
        answer.raise_for_status()
        return await asyncio.to_thread(_parse, answer.text)
    except (httpx2.HTTPError, ValueError):
        return None


def _parse(text: str) -> list[rules.Sample]:
    """Raises ValueError for what is not in Prometheus' text format."""
    return [
        rules.Sample(sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


class OverviewService:
    """Puts together what the page shows."""

    def __init__(
        self, collector: Collector, figures: FiguresFile, alertmanager: AlertmanagerReader | None, clock: Clock
    ) -> None:
        self._collector = collector
        self._figures = figures
        self._alertmanager = alertmanager
        self._clock = clock

    async def overview(self, span: Span) -> Overview:
        now = self._clock.now()
        series = await asyncio.to_thread(self._figures.read, (now - span.length).timestamp(), span.step)
        recent = await asyncio.to_thread(
            self._figures.read, (now - timedelta(hours=1)).timestamp(), rules.ROUND_SECONDS
        )
        alerts, source = await self._alerts(recent, now)
        return Overview(
            now,
            span,
            rules.totals(series),
            [rules.draw(rule, series, span, now) for rule in rules.CHARTS],
            alerts,
            source,
            _processes(self._collector.latest, recent, now),
            self._collector.read_at,
            self._collector.trouble,
        )

    async def _alerts(self, recent: Mapping[str, Slots], now: datetime) -> tuple[list[Alert], str]:
        own = rules.findings(recent, now)
        if self._alertmanager is None:
            return own, "Found by the console's own checks; set OMNI_ALERTMANAGER_URL to see all alerts."
        try:
            return await self._alertmanager.current(), "From Alertmanager."
        except AlertmanagerUnreachable as error:
            return own, f"{error} These are the console's own checks."


class AlertmanagerUnreachable(Exception):
    """The message says what happened."""


class _Status(BaseModel):
    state: str


class _Found(BaseModel):
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: AwareDatetime  # noqa: N815 - Alertmanager's name
    status: _Status


_FOUND = TypeAdapter(list[_Found])
_SEVERITIES: Mapping[str, Severity] = {"critical": "critical", "warning": "warning", "info": "info"}


class AlertmanagerReader:
    """Alerts that are on, neither silenced nor inhibited, of Alertmanager's API v2."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")

    async def current(self) -> list[Alert]:
        """The worst first. Raises AlertmanagerUnreachable."""
        try:
            answer = await self._client.get(
                f"{self._url}/api/v2/alerts", params={"active": "true", "silenced": "false", "inhibited": "false"}
            )
            answer.raise_for_status()
            found = _FOUND.validate_json(answer.content)
        except (httpx2.HTTPError, ValidationError) as error:
            raise AlertmanagerUnreachable(f"Alertmanager at {self._url} gave no answer.") from error
        return rules.sort_alerts(
            Alert(
                each.labels.get("alertname", "alert"),
                _SEVERITIES[each.labels["severity"]],
                each.annotations.get("summary", ""),
                each.startsAt,
            )
            for each in found
            if each.labels.get("severity") in _SEVERITIES  # the dead man's switch is always on and has none of them
        )


def _processes(
    latest: Mapping[Target, Sequence[rules.Sample] | None], recent: Mapping[str, Slots], now: datetime
) -> list[Process]:
    processes = []
    since = (now - _CPU_OVER).timestamp()
    covered = {at: cell for at, cell in recent.get(rules.COVERED, {}).items() if at >= since}
    seconds = sum(cell.total for cell in covered.values())
    for target, samples in latest.items():
        values = {sample.name: sample for sample in samples or () if sample.name in _PROCESS_FIGURES}
        memory, started, build = (values.get(name) for name in _PROCESS_FIGURES)
        used = sum(cell.total for at, cell in recent.get(f"cpu|{target.process}", {}).items() if at in covered)
        replicas = sum(other.process == target.process for other in latest)
        processes.append(
            Process(
                target.process,
                samples is not None,
                build.labels.get("version", "") if build else "",
                memory.value if memory else None,
                used / seconds / replicas if seconds and samples is not None else None,
                datetime.fromtimestamp(started.value, UTC) if started else None,
            )
        )
    return processes
