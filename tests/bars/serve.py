"""A gateway in a process of its own: settings as JSON in the first argument, then the seconds that it may drain."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import orjson
import uvloop
from prometheus_client import CollectorRegistry

from omni.gateway.app import serve
from tests.gateway.conftest import make_config
from tests.gateway.support import SilentLogger


async def main() -> None:
    settings = orjson.loads(sys.argv[1])
    spool = Path(settings.pop("spool_dir"))
    config = make_config(settings.pop("redis_url"), settings.pop("backend_url"), spool, **settings)
    await serve(config, CollectorRegistry(), SilentLogger(), drain_seconds=float(sys.argv[2]))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
