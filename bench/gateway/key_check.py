"""What the check of a known key takes, call by call, in this process."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from omni.contracts.endpoints import ENDPOINTS
from omni.gateway.access.auth import Authenticator, check_caller
from omni.gateway.admission.limits import Scripts
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.routes import Routes
from omni.gateway.redis.client import RedisClient

CHECKS = 100_000


class _Quiet:
    """A logger that shows warnings and errors only."""

    def info(self, event: str, /, **values: Any) -> None:
        pass

    def warning(self, event: str, /, **values: Any) -> None:
        print(event, values, file=sys.stderr)

    error = warning


def micros(redis_port: int, key: str, folder: Path) -> list[float]:
    """Microseconds of each check, sorted."""
    config = GatewayConfig(
        host="127.0.0.1",
        port=0,
        metrics_port=0,
        backend_urls=("http://127.0.0.1:9",),
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        principal_secret=os.urandom(32),
        credentials_key=os.urandom(32),
        spool_dir=folder / "spool",
    )
    return asyncio.run(_micros(config, key.encode("ascii")))


async def _micros(config: GatewayConfig, credential: bytes) -> list[float]:
    scripts = Scripts(config.lease_seconds)
    client = RedisClient(
        config.redis_url,
        scripts.all(),
        timeout_seconds=config.redis_timeout_seconds,
        on_flush=lambda: None,
        logger=_Quiet(),
    )
    client.start()
    await client.wait_connected(5)
    authenticator = Authenticator(client, scripts, config)
    route = Routes(ENDPOINTS).match(b"POST", b"/v1/embeddings")
    await authenticator.look_up(credential)
    nanos = []
    for _ in range(CHECKS):
        start = time.perf_counter_ns()
        caller = authenticator.cached(credential)
        assert caller is not None
        check_caller(caller, route, None)
        nanos.append(time.perf_counter_ns() - start)
    await client.close()
    return sorted(taken / 1000 for taken in nanos)


def quantile(ordered: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return ordered[int(len(ordered) * share)]
