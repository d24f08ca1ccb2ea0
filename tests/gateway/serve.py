"""A gateway in a process of its own, to be killed: port, Redis URL, backend URL, spool folder."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from omni.gateway.app import serve
from tests.gateway.conftest import make_config
from tests.gateway.support import RecordingLogger


async def main() -> None:
    port, redis_url, backend_url, spool_dir = sys.argv[1:]
    config = make_config(redis_url, backend_url, Path(spool_dir), port=int(port))
    await serve(config, CollectorRegistry(), RecordingLogger())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
