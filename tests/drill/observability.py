"""Prometheus and Alertmanager with the configuration that is shipped, and a PagerDuty to send to."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from omni.apps.embedded.launch import free_ports
from tests.acceptance.platform import Platform, until
from tests.drill.server import JsonServer
from tools.observability.files import OBSERVABILITY

START_SECONDS = 30


@dataclass
class PagerDuty:
    """Takes events as PagerDuty's Events API v2 does, and keeps them with the time of their arrival."""

    routing_key: str = field(default_factory=lambda: secrets.token_hex(16))
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = JsonServer(self._answer)

    def __enter__(self) -> PagerDuty:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"{self._server.url}/v2/enqueue"

    def _answer(self, path: str, body: bytes) -> tuple[int, Any]:
        reason = self.take(path, body)
        return (400, {"status": "invalid event", "message": reason}) if reason else (202, {"status": "success"})

    def take(self, path: str, body: bytes) -> str:
        """Keeps an event; says why it is none (developer.pagerduty.com, Events API v2)."""
        event = json.loads(body)
        payload = event.get("payload") or {}
        if path != "/v2/enqueue":
            return self._refuse(f"no such path: {path}")
        if event.get("routing_key") != self.routing_key:
            return self._refuse("invalid routing_key")
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve") or not event.get("dedup_key"):
            return self._refuse("invalid event_action or no dedup_key")
        if event["event_action"] == "trigger" and not (
            payload.get("summary")
            and payload.get("source")
            and payload.get("severity") in ("critical", "error", "warning", "info")
        ):
            return self._refuse("a trigger has summary, source and a known severity")
        self.events.append((time.monotonic(), event))
        return ""

    def _refuse(self, reason: str) -> str:
        self.refused.append(reason)
        return reason

    def first(self, action: str, alert: str, after: float) -> tuple[float, dict[str, Any]] | None:
        """The first event of an alert since a moment, and when it came. A resolve is found by its trigger."""
        keys = {
            event["dedup_key"]
            for _, event in self.events
            if event["event_action"] == "trigger" and event["payload"].get("class") == alert
        }
        for at, event in list(self.events):
            if at >= after and event["event_action"] == action and event["dedup_key"] in keys:
                return at, event
        return None


@dataclass
class Observability:
    """The addresses of what runs."""

    prometheus: str
    alertmanager: str
    pager: PagerDuty

    def alerts(self) -> dict[str, str]:
        """State (pending or firing) by name; of several of one name the more serious."""
        answer = httpx2.get(f"{self.prometheus}/api/v1/alerts", timeout=5, trust_env=False).json()
        found: dict[str, str] = {}
        for alert in answer["data"]["alerts"]:
            name = alert["labels"]["alertname"]
            found[name] = "firing" if "firing" in (alert["state"], found.get(name)) else alert["state"]
        return found

    def up(self) -> dict[str, int]:
        """By process, how many targets answered the last scrape."""
        query = {"query": 'sum by (process) (up{job="omni"})'}
        answer = httpx2.get(f"{self.prometheus}/api/v1/query", params=query, timeout=5, trust_env=False).json()
        return {row["metric"]["process"]: int(row["value"][1]) for row in answer["data"]["result"]}


@contextmanager
def observed(platform: Platform, folder: Path) -> Iterator[Observability]:
    """Both servers beside a platform that runs, until the end."""
    prometheus_port, alertmanager_port, cluster_port = free_ports(3)
    with PagerDuty() as pager:
        shutil.copytree(OBSERVABILITY / "prometheus", folder / "prometheus")
        shutil.copytree(OBSERVABILITY / "alertmanager", folder / "alertmanager")
        _set(
            folder / "prometheus" / "prometheus.yml",
            ("127.0.0.1:9093", f"127.0.0.1:{alertmanager_port}"),
            ("127.0.0.1:9090", f"127.0.0.1:{prometheus_port}"),
            ("http://127.0.0.1:8081", platform.console),
        )
        (folder / "prometheus" / "targets").symlink_to(platform.home / "prometheus")
        _set(
            folder / "alertmanager" / "alertmanager.yml",
            ("https://events.pagerduty.com/v2/enqueue", pager.url),
            ("http://127.0.0.1:8083", platform.run_file()["status"]),
            ("/etc/alertmanager/secrets", f"{folder}/alertmanager/secrets"),
        )
        _write_secrets(folder / "alertmanager" / "secrets", platform, pager)
        servers = {
            "prometheus": (
                "prometheus", f"--config.file={folder}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{prometheus_port}",
            ),
            "alertmanager": (
                "prometheus-alertmanager", f"--config.file={folder}/alertmanager/alertmanager.yml",
                f"--storage.path={folder}/alerts", f"--web.listen-address=127.0.0.1:{alertmanager_port}",
                f"--cluster.listen-address=127.0.0.1:{cluster_port}",
            ),
        }  # fmt: skip
        running = [_start(name, command, folder) for name, command in servers.items()]
        found = Observability(f"http://127.0.0.1:{prometheus_port}", f"http://127.0.0.1:{alertmanager_port}", pager)
        try:
            for url in (found.prometheus, found.alertmanager):
                until(lambda url=url: _ready(url), START_SECONDS, f"{url} is ready")  # type: ignore[misc]
            yield found
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(20)


def _write_secrets(folder: Path, platform: Platform, pager: PagerDuty) -> None:
    folder.mkdir()
    (folder / "pagerduty_key").write_text(pager.routing_key)
    (folder / "slack_url").write_text(f"{pager.url}-is-no-slack")
    token = platform.command("status", "token")
    (folder / "status_token").write_text(token.stdout.strip())


def _set(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for shipped, here in changes:
        assert shipped in text, f"{file.name} does not name {shipped}"
        text = text.replace(shipped, here)
    file.write_text(text)


def _start(name: str, command: tuple[str, ...], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)


def _ready(url: str) -> bool:
    try:
        return bool(httpx2.get(f"{url}/-/ready", timeout=2, trust_env=False).status_code == 200)
    except httpx2.TransportError:
        return False
