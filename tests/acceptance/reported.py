"""Events that a tenant reports, in the disorder of real life, and the senders that report them whatever happens."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import httpx2
import orjson

from tests.acceptance.platform import Platform

LATEST = timedelta(days=35) - timedelta(hours=2)
"""How late events are at most; they have to be taken until the last of them is sent again."""
SOURCES = 8
SENDERS = 8
SENT_AGAIN = 0.3
"""The share of events that are sent more than once."""
PAUSE_SECONDS = 0.1
GIVE_UP_SECONDS = 120.0

Batch = list["Reported"]


@dataclass(frozen=True, slots=True)
class Reported:
    """An event. `id` is unique among all sources here."""

    id: str
    source: str
    time: datetime
    gigabytes: Decimal
    as_text: bool
    """Whether the quantity is sent as text, or as a JSON number."""

    def to_json(self, event_type: str) -> dict[str, Any]:
        return {
            "specversion": "1.0", "id": self.id, "source": self.source, "type": event_type,
            "time": self.time.isoformat(),
            "data": {"gigabytes": str(self.gigabytes) if self.as_text else float(self.gigabytes)},
        }  # fmt: skip


def make_events(chance: Random, count: int, now: datetime) -> list[Reported]:
    """Up to 35 days late, with up to six decimals."""
    return [
        Reported(
            f"event-{number}",
            f"/meters/{chance.randrange(SOURCES)}",
            now - LATEST * chance.random(),
            Decimal(chance.randrange(1, 10**9)).scaleb(-6),
            chance.random() < 0.5,
        )
        for number in range(count)
    ]


def shuffled_batches(chance: Random, events: Sequence[Reported], size: int) -> list[Batch]:
    """Every event at least once, in no order. Of those that are sent again, one half comes back one to three times
    anywhere, the other half in a batch that follows its twin, so that two senders have it at the same time."""
    again = chance.sample(events, round(len(events) * SENT_AGAIN))
    anywhere, twins = again[: len(again) // 2], again[len(again) // 2 :]
    in_twins = {event.id for event in twins}
    single = [event for event in events if event.id not in in_twins]
    single += [event for event in anywhere for _ in range(chance.randint(1, 3))]
    chance.shuffle(single)
    groups = [[batch] for batch in _cut(single, size)] + [[batch, batch] for batch in _cut(twins, size)]
    chance.shuffle(groups)
    return [batch for group in groups for batch in group]


def _cut(events: Sequence[Reported], size: int) -> list[Batch]:
    return [list(events[start : start + size]) for start in range(0, len(events), size)]


@dataclass
class Senders:
    """Eight threads that send batches. One that was not answered, or refused for a while, is sent again until each of
    its events was answered `accepted` or `duplicate`."""

    platform: Platform
    event_type: str
    accepted: Counter[str] = field(default_factory=Counter)
    """How often each event was answered `accepted`."""
    done: set[str] = field(default_factory=set)
    """Events that were answered."""
    batches: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers by status, and errors of the connection."""
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._queue: queue.Queue[Batch | None] = queue.Queue()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work) for _ in range(SENDERS)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def send(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._queue.put(batch)

    def _work(self) -> None:
        with self.platform.api() as client:
            client.timeout = httpx2.Timeout(30)
            while (batch := self._queue.get()) is not None:
                if self.wrong:
                    continue
                body = orjson.dumps([event.to_json(self.event_type) for event in batch])
                deadline = time.monotonic() + GIVE_UP_SECONDS
                while not self._sent(client, batch, body):
                    if time.monotonic() > deadline:
                        self.wrong.append(f"a batch was not taken within {GIVE_UP_SECONDS:.0f} s")
                        break
                    time.sleep(PAUSE_SECONDS)

    def _sent(self, client: httpx2.Client, batch: Batch, body: bytes) -> bool:
        headers = {"content-type": "application/cloudevents-batch+json"}
        try:
            answer = client.post("/v1/events", content=body, headers=headers)
        except httpx2.TransportError as error:
            self._count(type(error).__name__)
            return False
        self._count(str(answer.status_code))
        if answer.status_code != 200:
            may_be_sent_again = answer.status_code in (409, 429) or answer.status_code >= 500
            if not may_be_sent_again:
                self.wrong.append(answer.text)
            return not may_be_sent_again
        self._note(batch, answer.json()["results"])
        return True

    def _count(self, what: str) -> None:
        with self._lock:
            self.statuses[what] += 1

    def _note(self, batch: Batch, results: list[dict[str, Any]]) -> None:
        with self._lock:
            self.batches += 1
            for event, result in zip(batch, results, strict=True):
                if result["status"] not in ("accepted", "duplicate") or result["id"] != event.id:
                    self.wrong.append(f"{event.id}: {result}")
                self.accepted[event.id] += result["status"] == "accepted"
                self.done.add(event.id)


class Caller:
    """Somebody who makes an ordinary request again and again."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self.answered: set[str] = set()
        """Ids of requests that were answered with success."""
        self.unknown = 0
        """Requests of which the caller does not know how they ended."""

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _call(self) -> None:
        with self._platform.api() as client:
            client.timeout = httpx2.Timeout(10)
            while not self._stop.wait(PAUSE_SECONDS):
                try:
                    answer = client.get("/v1/models")
                except httpx2.TransportError:
                    self.unknown += 1
                    continue
                if answer.status_code == 200:
                    self.answered.add(answer.headers["x-request-id"])
                else:
                    self.unknown += 1
