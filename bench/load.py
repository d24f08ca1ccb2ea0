"""Requests to a gateway: as fast as it answers, or at times of their own."""

from __future__ import annotations

import http.client
import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Request:
    """A POST of JSON."""

    path: str
    body: bytes


@dataclass(slots=True)
class Outcome:
    """What became of many requests."""

    seconds: float = 0.0
    """Of the whole run."""
    latencies: list[float] = field(default_factory=list)
    """Seconds; in an open loop from when a request was due, so that waiting for a place counts."""
    statuses: dict[int, int] = field(default_factory=dict)
    """How many answers had which status; 0 = none came."""
    refused: dict[str, int] = field(default_factory=dict)
    """Requests by path that were not answered with 200."""

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def error_share(self) -> float:
        return 1 - self.statuses.get(200, 0) / len(self.latencies)

    def quantile_ms(self, share: float) -> float:
        """A quantile of the latencies, in milliseconds."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1_000


def closed_loop(found: dict[str, Any], requests: Iterable[Request], connections: int, tries: int = 1) -> Outcome:
    """Sends the requests one after the other on each of some connections. What gave way to others is tried again after
    the second that the gateway asks for, as clients do, up to so many `tries` in all.
    """
    return _run(found, ((None, request) for request in requests), connections, tries)


def open_loop(
    found: dict[str, Any], requests: Sequence[Request], per_second: float, connections: int, seed: int
) -> Outcome:
    """Sends each request when it is due, by a Poisson process, however slow the answers are."""
    chance = random.Random(seed)
    due = itertools.accumulate(chance.expovariate(per_second) for _ in requests)
    return _run(found, zip(due, requests, strict=True), connections)


def _run(
    found: dict[str, Any], work: Iterable[tuple[float | None, Request]], connections: int, tries: int = 1
) -> Outcome:
    outcome, lock, todo = Outcome(), Lock(), iter(work)
    started = time.perf_counter()

    def lane() -> None:
        sender = Sender(found)
        for due, request in _shared(todo, lock):
            begun = time.perf_counter() if due is None else started + due
            if (early := begun - time.perf_counter()) > 0:
                time.sleep(early)
            status, _ = sender.send(request)
            for _ in range(tries - 1):
                if status == 503:
                    time.sleep(1)
                    status, _ = sender.send(request)
            seconds = time.perf_counter() - begun
            with lock:
                outcome.latencies.append(seconds)
                outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
                if status != 200:
                    outcome.refused[request.path] = outcome.refused.get(request.path, 0) + 1
        sender.close()

    with ThreadPoolExecutor(connections) as threads:
        for done in [threads.submit(lane) for _ in range(connections)]:
            done.result()
    outcome.seconds = time.perf_counter() - started
    return outcome


def _shared(todo: Iterator[Any], lock: Lock) -> Iterator[Any]:
    while True:
        with lock:
            each = next(todo, None)
        if each is None:
            return
        yield each


class Sender:
    """One connection that stays open."""

    def __init__(self, found: dict[str, Any]) -> None:
        gateway = urlsplit(found["gateway"])
        self._connection = http.client.HTTPConnection(str(gateway.hostname), gateway.port, timeout=TIMEOUT_SECONDS)
        self._headers = {
            "authorization": f"Bearer {found['bootstrap']['live_key']}", "content-type": "application/json",
        }  # fmt: skip

    def send(self, request: Request) -> tuple[int, bytes]:
        """Status and body; 0 when there was no answer."""
        try:
            self._connection.request("POST", request.path, request.body, self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, b""

    def close(self) -> None:
        self._connection.close()
