"""A backend and provider in a process of its own, to be stopped: prints its URL."""

from __future__ import annotations

import asyncio
import sys

from tests.gateway.providers import DONE, STREAM_HEAD, chunk, completion, delta, usage_event, whole
from tests.gateway.support import FakeBackend, Received, answer

PIECES, PIECE_SECONDS = 20, 0.01


async def speak(writer: asyncio.StreamWriter) -> None:
    """A stream of some length that takes its time."""
    writer.write(STREAM_HEAD)
    for _ in range(PIECES):
        writer.write(chunk(delta("a few words more ")))
        await writer.drain()
        await asyncio.sleep(PIECE_SECONDS)
    writer.write(b"%b%b%b0\r\n\r\n" % (chunk(delta("", "stop")), chunk(usage_event(30, 5 * PIECES)), chunk(DONE)))


async def main() -> None:
    server = FakeBackend()

    async def any_of_them(received: Received, writer: asyncio.StreamWriter) -> None:
        server.received.clear()
        if not received.target.endswith("completions"):
            writer.write(answer())
        elif b'"stream":true' in received.body:
            await speak(writer)
        else:
            writer.write(whole(completion()))

    server.handler = any_of_them
    sys.stdout.write(f"{await server.start()}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
