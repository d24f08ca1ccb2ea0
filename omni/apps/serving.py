"""What every process does around its own work: logs, end with the parent, metrics port, stop signals."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from omni import __version__
from omni.apps.settings import Settings
from omni.telemetry.logs import Report, configure_logs

PR_SET_PDEATHSIG = 1

Health = Callable[[], tuple[bool, bytes]]
"""Whether the process is ready, and why (JSON)."""


def begin(process: str, settings: Settings) -> CollectorRegistry:
    """Logs as JSON, errors to Sentry where there is a DSN, the tie to the parent, rare garbage collection, and a
    registry with the process's own figures."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime would report to its maker and keep a database at home
    collect_garbage_rarely()
    configure_logs(
        process,
        settings.log_level,
        exception_texts=settings.log_exception_texts,
        report=_start_sentry(process, settings.sentry_dsn.get_secret_value()) if settings.sentry_dsn else None,
    )
    if settings.stop_with_parent:
        stop_with_parent()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    Info("omni_build", "The version that runs.", registry=registry).info({"version": __version__, "process": process})
    return registry


def _start_sentry(process: str, dsn: str) -> Report:
    from omni.telemetry import sentry  # noqa: PLC0415 - without a DSN no process pays for it

    sentry.start_sentry(dsn, process, __version__)
    return sentry.report


def collect_garbage_rarely() -> None:
    """Requests and usage events leave no cycles behind, but each of them makes the collector count up, and what it then
    walks through is alive: at full load it took a seventh of the gateway's time and a third of the drain's, and stopped
    everything for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def raise_open_files_limit() -> None:
    """Lets this process have as many connections as the system allows it: what shells hand on is often 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def stop_with_parent() -> None:
    """Asks the kernel for SIGTERM when the parent ends (Linux); ends at once when it has ended already."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent == 1 or os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def serve_metrics(host: str, port: int, registry: CollectorRegistry, health: Health) -> ThreadingHTTPServer:
    """`/metrics`, `/livez` and `/readyz` on a port of their own, from a thread, so that a busy loop still answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            path = self.path.partition("?")[0]
            if path == "/metrics":
                encode, content_type = choose_encoder(self.headers.get("accept", ""))
                self._answer(200, content_type, encode(registry))
            elif path == "/livez":
                self._answer(200, "application/json", b'{"status":"ok"}')
            elif path == "/readyz":
                ready, body = health()
                self._answer(200 if ready else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"metrics, livez, readyz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Probes are not worth a line each."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


async def until_stopped(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `work` with an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(stop)
