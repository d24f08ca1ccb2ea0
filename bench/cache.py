"""The response cache on a replay whose bodies are asked for by Zipf's law, on a whole platform.

Rank r of the bodies is asked for with weight r^-1.1 (Breslau et al. 1999, "Web caching and Zipf-like distributions").
Half of the bodies are one-text embeddings, half sentiments. Costs are what the price book charged, from the usage
events.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import orjson

from bench.load import Request, closed_loop
from bench.started import log_in, platform_up

REQUESTS, BODIES, EXPONENT = 100_000, 20_000, 1.1
CONNECTIONS, TRIES = 8, 10
SEED = 14
CACHE_SECONDS = 86_400
HIT_BAR, COST_BAR = 60.0, 50.0
RECORDED_SECONDS = 120
_WORDS = (
    "the delivery came late and the parcel was broken but support answered quickly and sent another one for free "
    "today which we liked very much while the price of it is still far too high for what such a thing can do"
)
_COSTS = """
select endpoint, quantities ? 'cached_requests' as hit, count(*) as number,
       sum((quantities->>'spend_nanos')::bigint)::bigint as nanos
from usage_events where status = 200 and endpoint = any($1) group by 1, 2
"""


def run() -> list[dict[str, Any]]:
    bodies = [_body(number) for number in range(BODIES)]
    chosen = _replay()
    with tempfile.TemporaryDirectory() as name, platform_up(Path(name) / "home") as found:
        _turn_on(found)
        outcome = closed_loop(found, (bodies[each] for each in chosen), CONNECTIONS, TRIES)
        if outcome.error_share:
            raise RuntimeError(f"not everything was answered: {outcome.statuses}, {outcome.refused}")
        rows = asyncio.run(_costs(found["database"], sorted({body.path for body in bodies})))
    hits = sum(row["number"] for row in rows if row["hit"])
    paid = sum(row["nanos"] for row in rows)
    share, cost = 100 * hits / REQUESTS, 100 * float(paid) / _uncached_nanos(rows)
    asked = f"{REQUESTS:,} requests for {BODIES:,} bodies, Zipf({EXPONENT})"
    return [
        _bar(f"hit rate, {asked}", share, "%", HIT_BAR, share >= HIT_BAR),
        _bar("cost of a request, of what it costs without the cache", cost, "%", COST_BAR, cost <= COST_BAR),
        _bar(f"requests, hits and misses, {CONNECTIONS} connections", outcome.per_second, "requests/s", None, True),
        _bar("latency, p95", outcome.quantile_ms(0.95), "ms", None, True),
    ]


def _bar(name: str, value: float, unit: str, bar: float | None, met: bool) -> dict[str, Any]:
    return {"name": name, "value": round(value, 1), "unit": unit, "bar": bar, "met": met}


def _body(number: int) -> Request:
    chance = random.Random(number)
    text = f"{' '.join(chance.choices(_WORDS.split(), k=chance.randint(8, 40)))} {number}"
    if number % 2:
        return Request("/v1/embeddings", orjson.dumps({"model": "all-MiniLM-L6-v2", "input": text}))
    return Request("/v1/text/sentiment", orjson.dumps({"texts": [text]}))


def _replay() -> list[int]:
    """Which body each request has. Ranks are dealt to bodies at random, so both kinds have popular ones."""
    chance = random.Random(SEED)
    ranks = chance.sample(range(BODIES), BODIES)
    weights = list(itertools.accumulate((rank + 1) ** -EXPONENT for rank in range(BODIES)))
    return chance.choices(ranks, cum_weights=weights, k=REQUESTS)


def _turn_on(found: dict[str, Any]) -> None:
    """The cache, for the tenant; returns once the gateway knows."""
    path = f"{found['console']}/api/tenants/{found['bootstrap']['tenant']}/gateway-settings"
    with httpx2.Client(headers=log_in(found), trust_env=False, timeout=30) as client:
        client.put(path, json={"cache_seconds": CACHE_SECONDS}).raise_for_status()
    key = {"authorization": f"Bearer {found['bootstrap']['live_key']}"}
    deadline = time.monotonic() + 60
    with httpx2.Client(base_url=found["gateway"], headers=key, trust_env=False, timeout=60) as client:
        while client.post("/v1/text/language", json={"texts": ["Is it on?"]}).headers.get("omni-cache") != "hit":
            if time.monotonic() > deadline:
                raise RuntimeError("the gateway does not use its cache")
            time.sleep(0.2)


async def _costs(database: str, paths: list[str]) -> list[asyncpg.Record]:
    """Number and cost of hits and misses by endpoint, once all requests are recorded."""
    connection = await asyncpg.connect(database)
    try:
        deadline = time.monotonic() + RECORDED_SECONDS
        while True:
            rows: list[asyncpg.Record] = await connection.fetch(_COSTS, [f"POST {path}" for path in paths])
            recorded = sum(row["number"] for row in rows)
            if recorded == REQUESTS:
                return rows
            if time.monotonic() > deadline:
                raise RuntimeError(f"{recorded} of {REQUESTS} requests are recorded")
            await asyncio.sleep(1)
    finally:
        await connection.close()


def _uncached_nanos(rows: list[asyncpg.Record]) -> float:
    """What all requests would have cost, by the mean of those of the endpoint that were not in the cache."""
    total = 0.0
    for endpoint in {row["endpoint"] for row in rows}:
        number = sum(row["number"] for row in rows if row["endpoint"] == endpoint)
        (missed,) = [row for row in rows if row["endpoint"] == endpoint and not row["hit"]]
        total += number * missed["nanos"] / missed["number"]
    return total
