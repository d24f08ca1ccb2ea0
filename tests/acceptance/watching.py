"""A platform that tells all that it ever tells: traces to a collector, errors to a Sentry, mail to a server."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import redis
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.acceptance.platform import Platform
from tests.gateway.traces import Collector
from tests.telemetry.sentry_server import SentryServer

PROCESSES = ("gateway", "backend", "console", "tasks")


class Mailbox:
    """An SMTP server that takes everything."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say(b"220 ready")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"DATA":
                        self.say(b"354 go on")
                        mailbox.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                    self.say(b"221 bye" if word == b"QUIT" else b"250 ok")

            def say(self, line: bytes) -> None:
                self.wfile.write(line + b"\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"smtp://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Watched:
    """One platform, and all who are told of it."""

    home: Path
    collector: Collector = field(default_factory=Collector)
    sentry: SentryServer = field(default_factory=SentryServer)
    mailbox: Mailbox = field(default_factory=Mailbox)

    def __enter__(self) -> Watched:
        environment = {
            "OMNI_OTLP_ENDPOINT": self.collector.url,
            "OMNI_SENTRY_DSN": self.sentry.dsn,
            "OMNI_SMTP_URL": self.mailbox.url,
            "OMNI_SLOW_TRACE_MS": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        self.platform = Platform(self.home, environment)
        self.platform.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.platform.__exit__(kind, error, trace)
        finally:
            for each in (self.collector, self.sentry, self.mailbox):
                each.close()

    def spans(self, trace_id: str) -> dict[str, list[Span]]:
        """The spans of a trace, by process."""
        found = {name: self.collector.spans(f"omni-{name}") for name in PROCESSES}
        return {
            name: [span for span in spans if span.trace_id.hex() == trace_id]
            for name, spans in found.items()
            if any(span.trace_id.hex() == trace_id for span in spans)
        }

    def log_lines(self) -> Iterator[dict[str, Any]]:
        """All lines of all logs that are of the platform's own processes."""
        for file in sorted((self.platform.home / "logs").iterdir()):
            for line in file.read_text(errors="replace").splitlines():
                if line.startswith("{"):
                    yield json.loads(line)

    def scrapes(self) -> str:
        """What all processes export, exemplars included."""
        headers = {"accept": "application/openmetrics-text; version=1.0.0"}
        urls = self.platform.run_file()["metrics"].values()
        return "".join(httpx2.get(url, headers=headers, trust_env=False, timeout=30).text for url in urls)

    def told(self) -> dict[str, bytes]:
        """Everything that was told to anybody, by where: logs, spans, metrics, Sentry, the store of slow traces."""
        with redis.Redis.from_url(self.platform.run_file()["redis"]) as client:
            kept = [part for key in client.keys("omni:{traces}:*") if key != b"omni:{traces}:index"
                    for part in client.hvals(key)]  # fmt: skip
        return {
            "logs": b"".join(file.read_bytes() for file in (self.platform.home / "logs").iterdir()),
            "spans": b"".join(group.SerializeToString() for group in self.collector.received),
            "metrics": self.scrapes().encode(),
            "sentry": b"".join(self.sentry.raw),
            "slow traces": b"".join(kept),
        }


def finds(told: dict[str, bytes], secrets: list[str]) -> list[tuple[str, str]]:
    """Where which of the secrets is told; also when its spaces are escaped or gone."""
    return [
        (where, secret)
        for where, content in told.items()
        for secret in secrets
        if re.search(re.sub(rb"\\?[ -]", rb"(?: |-|%20|\\+|)", re.escape(secret.encode())), content)
    ]
