"""A backend and provider in a process of its own, to be stopped: prints its URL."""

from __future__ import annotations

import asyncio
import sys

from tests.gateway.providers import completion, whole
from tests.gateway.support import FakeBackend, Received, answer


async def either(received: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(whole(completion()) if received.target.endswith("completions") else answer())


async def main() -> None:
    server = FakeBackend()
    server.handler = either
    sys.stdout.write(f"{await server.start()}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
