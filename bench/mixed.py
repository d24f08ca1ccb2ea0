"""The AI endpoints mixed as in real use, on a whole platform: how much it serves, and how fast at 80 % of that.

Capacity is the throughput of clients that each send one request after the other. Then requests arrive by a Poisson
process of 80 % of it, whether earlier ones are answered or not.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import orjson

from bench.load import Outcome, Request, closed_loop, open_loop
from bench.started import platform_up

CONNECTIONS = (4, 8)
MEASURED, WARM, REPLAYED_SECONDS = 2_000, 200, 60
WAITING_CONNECTIONS = 64
SHARE = 0.8
SEED = 5
DOCUMENTS = 40
LATENCY_BAR, ERROR_BAR = 500.0, 0.1
_WORDS = (
    "the invoice of the lawyer came before the hearing and named every hour that her office had worked on the case "
    "while the court in Ljubljana asked for a translation of the contract which nobody had signed in that year"
)
Body = dict[str, Any]


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, platform_up(Path(name) / "home") as found:
        mix = Mix(_collection(found))
        closed_loop(found, mix.some(WARM, 1), CONNECTIONS[0], tries=10)
        measured = [closed_loop(found, mix.some(MEASURED, 2), number, tries=10) for number in CONNECTIONS]
        capacity = max(outcome.per_second for outcome in measured)
        per_second = SHARE * capacity
        requests = mix.some(int(per_second * REPLAYED_SECONDS), 3)
        outcome = open_loop(found, requests, per_second, WAITING_CONNECTIONS, SEED)
    return _bars(capacity, outcome)


def _bars(capacity: float, outcome: Outcome) -> list[dict[str, Any]]:
    at = f"mixed AI requests at {SHARE:.0%} of capacity"
    p95, errors = outcome.quantile_ms(0.95), 100 * outcome.error_share
    return [
        _bar("mixed AI requests, capacity", capacity, "requests/s", None, True),
        _bar(f"{at}, p95", p95, "ms", LATENCY_BAR, p95 < LATENCY_BAR),
        _bar(f"{at}, median", outcome.quantile_ms(0.5), "ms", None, True),
        _bar(f"{at}, errors of {len(outcome.latencies):,}", errors, "%", ERROR_BAR, errors < ERROR_BAR)
        | {"refused": outcome.refused, "statuses": outcome.statuses},
    ]


def _bar(name: str, value: float, unit: str, bar: float | None, met: bool) -> dict[str, Any]:
    return {"name": name, "value": round(value, 3), "unit": unit, "bar": bar, "met": met}


class Mix:
    """Draws requests; each body is another one, so that no cache answers."""

    def __init__(self, collection_id: str) -> None:
        makers: list[tuple[int, str, Callable[[random.Random], Body]]] = [
            (38, "/v1/embeddings", lambda chance: {"model": "all-MiniLM-L6-v2", "input": _texts(chance, 1, 4)}),
            (20, f"/v1/collections/{collection_id}/search", lambda chance: {"query": _text(chance, 8)}),
            (14, "/v1/text/sentiment", lambda chance: {"texts": _texts(chance, 1, 8)}),
            (6, "/v1/text/language", lambda chance: {"texts": _texts(chance, 1, 4)}),
            (6, "/v1/text/pii/detect", lambda chance: {"text": _text(chance, 80)}),
            (5, "/v1/rerank", lambda chance: {"query": _text(chance, 8), "documents": _texts(chance, 5, 10)}),
            (4, "/v1/text/tokens", lambda chance: {"texts": _texts(chance, 1, 4)}),
            (3, "/v1/text/readability", lambda chance: {"text": f"{_text(chance, 60).capitalize()}."}),
            (2, "/v1/anomalies/stream", _points),
            (2, "/v1/forecasts", _series),
        ]
        self._weights = [weight for weight, _, _ in makers]
        self._makers = [(path, make) for _, path, make in makers]

    def some(self, number: int, seed: int) -> list[Request]:
        """So many requests; the same ones for the same seed."""
        chance = random.Random(seed)
        drawn = chance.choices(self._makers, self._weights, k=number)
        return [Request(path, orjson.dumps(make(chance))) for path, make in drawn]


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS.split(), k=words))


def _texts(chance: random.Random, least: int, most: int) -> list[str]:
    return [_text(chance, 25) for _ in range(chance.randint(least, most))]


def _points(chance: random.Random) -> Body:
    times = [f"2026-01-01T{hour:02}:00:00Z" for hour in range(24)]
    return {"points": [{"time": time, "value": chance.gauss(20, 2)} for time in times]}


def _series(chance: random.Random) -> Body:
    values = [round(100 + step + 10 * (step % 12) + chance.gauss(0, 3), 2) for step in range(36)]
    return {"series": {"values": values, "frequency": "monthly"}, "horizon": 3, "model": "theta"}


def _collection(found: dict[str, Any]) -> str:
    """A collection with some documents; its id."""
    chance = random.Random(SEED)
    headers = {"authorization": f"Bearer {found['bootstrap']['live_key']}"}
    with httpx2.Client(base_url=found["gateway"], headers=headers, trust_env=False, timeout=60) as client:
        made = client.post("/v1/collections", json={"name": "mixed"}).raise_for_status()
        for number in range(DOCUMENTS):
            text = ". ".join(_text(chance, 20).capitalize() for _ in range(20)) + "."
            document = {"name": f"{number}.txt", "text": text}
            client.post(f"/v1/collections/{made.json()['id']}/documents", json=document).raise_for_status()
        return str(made.json()["id"])
