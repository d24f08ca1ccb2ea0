"""What is broken in a drill: processes that are killed as often as they are started, and a provider that fails."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.acceptance.platform import Platform, until
from tests.drill.server import JsonServer

LOOK_SECONDS = 0.05
CALL_SECONDS = 0.2
MODEL = "drill-model"


@dataclass(frozen=True)
class Fault:
    """Something that is broken, the alert that is for it, and the component of the status page that shows it."""

    name: str
    alert: str
    component: str | None
    broken: Callable[[Platform, Provider], Any]
    """Gives a context manager: broken within."""


class Provider:
    """A provider of models that answers, until it is told to fail."""

    def __init__(self) -> None:
        self.fails = False
        self._server = JsonServer(self._answer)

    @property
    def url(self) -> str:
        return f"{self._server.url}/v1"

    def close(self) -> None:
        self._server.close()

    def _answer(self, _path: str, _body: bytes) -> tuple[int, Any]:
        if self.fails:
            return 500, {"error": {"message": "drill"}}
        return 200, {
            "id": "drill", "object": "chat.completion", "created": 1, "model": MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Here."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        }  # fmt: skip

    @contextmanager
    def failing(self) -> Iterator[None]:
        self.fails = True
        try:
            yield
        finally:
            self.fails = False


def publish_model(platform: Platform, provider: Provider) -> None:
    """A model that the provider serves, free of charge."""
    with platform.control() as control:
        sent = {"kind": "openai", "base_url": provider.url, "operations": ["chat"]}
        control.put("/api/operator/providers/drill", json=sent).raise_for_status()
        target = {"id": "drill", "provider": "drill", "upstream_model": MODEL}
        model = {"operations": ["chat"], "targets": [target], "unpriced": "flat"}
        control.put(f"/api/operator/models/{MODEL}", json=model).raise_for_status()
    with platform.api() as client:
        until(lambda: _chat(client) == 200, 15, "the model answers")


@contextmanager
def traffic(platform: Platform) -> Iterator[None]:
    """Calls to the model, several a second, whatever comes back."""
    stop = threading.Event()

    def call() -> None:
        with platform.api() as client:
            while not stop.wait(CALL_SECONDS):
                with suppress(httpx2.HTTPError):
                    _chat(client)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(70)


def _chat(client: httpx2.Client) -> int:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "There?"}]}
    return int(client.post("/v1/chat/completions", json=body).status_code)


def _kept_dead(name: str) -> Callable[[Platform, Provider], Any]:
    @contextmanager
    def broken(platform: Platform, _provider: Provider) -> Iterator[None]:
        stop = threading.Event()

        def keep_killing() -> None:
            killed = 0
            while not stop.is_set():
                with suppress(OSError, ValueError, KeyError):
                    pid = platform.run_file()["pids"][name]
                    if pid != killed:
                        os.kill(pid, signal.SIGKILL)
                        killed = pid
                time.sleep(LOOK_SECONDS)

        thread = threading.Thread(target=keep_killing, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)

    return broken


FAULTS = (
    Fault("gateway", "GatewayDown", "API", _kept_dead("gateway")),
    Fault("backend", "BackendDown", "Inference", _kept_dead("backend")),
    Fault("worker", "WorkerDown", "Jobs", _kept_dead("worker")),
    Fault("console", "ConsoleDown", "Console", _kept_dead("console")),
    Fault("postgres", "PostgresDown", "Console", _kept_dead("postgres")),
    Fault("redis", "RedisDown", "Jobs", _kept_dead("redis")),
    Fault("provider", "ProviderFailing", None, lambda _platform, provider: provider.failing()),
)
