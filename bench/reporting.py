"""`POST /v1/events` on a whole platform: batches through the gateway, and how soon an event is visible in usage."""

from __future__ import annotations

import http.client
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from bench.started import log_in, platform_up

BATCHES, BATCH, CONNECTIONS = (4, 40), 10_000, 4
PROBES = 200
SETTLE_SECONDS = 5
INGEST_BAR, VISIBLE_BAR = 20_000, 2.0
TYPE, METER = "bench.render", "bench_seconds"


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, platform_up(Path(name) / "home") as found:
        tenant = f"{found['console']}/api/tenants/{found['bootstrap']['tenant']}"
        session = log_in(found)
        _add_meter(found["console"], session)
        _send(found, [_batch("first")])
        time.sleep(SETTLE_SECONDS)  # the worker adds what came before the meter
        rows = []
        for batches in BATCHES:
            events, last = batches * BATCH, batches == BATCHES[-1]
            per_second = _ingest(found, batches)
            visible = _visible(found, tenant, session, events)
            ingested = f"usage events through /v1/events, {events:,} in batches of {BATCH:,}"
            rows += [
                _row(ingested, "ingest", events, round(per_second), "events/s")
                | _judged(per_second >= INGEST_BAR, INGEST_BAR if last else None),
                _row(f"event sent → visible in usage, p99, after {events:,} events", "visible", events,
                     round(visible, 3), "s")
                | _judged(visible < VISIBLE_BAR, VISIBLE_BAR if last else None),
            ]  # fmt: skip
    return rows


def _row(name: str, plot: str, events: int, value: float, unit: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "plot": plot, "events": events}


def _judged(met: bool, bar: float | None) -> dict[str, Any]:
    return {"bar": bar, "met": met or bar is None}


def _add_meter(console: str, session: dict[str, str]) -> None:
    meter = {
        "code": METER, "name": "Rendered", "unit": "second", "aggregation": "sum", "event_type": TYPE,
        "value_property": "seconds", "dimensions": ["region", "tier"],
    }  # fmt: skip
    httpx2.post(f"{console}/api/meters", json=meter, headers=session, trust_env=False).raise_for_status()


def _ingest(found: dict[str, Any], batches: int) -> float:
    """Events accepted a second."""
    bodies = [_batch(f"{batches}-{number}") for number in range(batches)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        started = time.perf_counter()
        lanes = [bodies[number::CONNECTIONS] for number in range(CONNECTIONS)]
        accepted = sum(threads.map(lambda mine: _send(found, mine), lanes))
        seconds = time.perf_counter() - started
    if accepted != batches * BATCH:
        raise RuntimeError(f"{accepted} of {batches * BATCH} events were accepted")
    return accepted / seconds


def _send(found: dict[str, Any], bodies: list[bytes]) -> int:
    """How many events of the batches were accepted, on one connection."""
    gateway, key = urlsplit(found["gateway"]), found["bootstrap"]["live_key"]
    headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"}
    connection = http.client.HTTPConnection(str(gateway.hostname), gateway.port, timeout=60)
    accepted = 0
    for body in bodies:
        connection.request("POST", "/v1/events", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content[:500]!r}")
        accepted += orjson.loads(content)["accepted"]
    connection.close()
    return accepted


def _batch(name: str) -> bytes:
    at = datetime.now(UTC).isoformat()
    return orjson.dumps([_event(f"{name}-{each}", at, each) for each in range(BATCH)])


def _event(event_id: str, at: str, number: int) -> dict[str, Any]:
    data = {"seconds": number % 600 / 8, "region": ("eu", "us", "ap")[number % 3], "tier": f"t{number % 5}"}
    return {
        "specversion": "1.0", "id": event_id, "source": "/bench/render", "type": TYPE, "time": at,
        "subject": f"customer-{number % 100}", "data": data,
    }  # fmt: skip


def _visible(found: dict[str, Any], tenant: str, session: dict[str, str], run: int) -> float:
    """Seconds from sending one event until usage has it, p99."""
    key = {"authorization": f"Bearer {found['bootstrap']['live_key']}"}
    waits = []
    with httpx2.Client(trust_env=False, timeout=30) as client:

        def events() -> int:
            answer = client.get(f"{tenant}/usage?meter={METER}&window=month", headers=session).raise_for_status()
            return sum(point["events"] for point in answer.json()["data"])

        known = events()
        for number in range(PROBES):
            event = _event(f"probe-{run}-{number}", datetime.now(UTC).isoformat(), number)
            started = time.perf_counter()
            client.post(f"{found['gateway']}/v1/events", json=event, headers=key).raise_for_status()
            while events() == known:
                pass
            waits.append(time.perf_counter() - started)
            known += 1
    return sorted(waits)[int(len(waits) * 0.99) - 1]
