"""The Redis client of the processes other than the gateway: it gives up rather than hangs, and its calls are spans.

A span names the command, never a key or a value.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from omni.telemetry.local_traces import client_call

TIMEOUT_SECONDS = 5.0


class TracedPipeline(Pipeline):
    """A batch of commands is one span."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        attributes: dict[str, str | int] = {
            "db.system.name": "redis",
            "db.operation.name": "PIPELINE",
            "db.operation.batch.size": len(self.command_stack),
        }
        with client_call("PIPELINE", attributes):
            return await super().execute(raise_on_error)


class TracedRedis(Redis):
    """Every command is a CLIENT span of the request or task that sends it."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        name = str(args[0])
        with client_call(name, {"db.system.name": "redis", "db.operation.name": name}):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return TracedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def create_redis(url: str) -> Redis:
    """A client that nothing is asked of before it is used."""
    return TracedRedis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, health_check_interval=10
    )
