"""A process that was given a DSN and in which everything breaks: a request, a task, a thread, and at last itself.

Its argument plants a fault: `event` sends what the SDK has collected.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry

from omni.apps.serving import begin
from omni.apps.settings import Settings
from omni.foundation.http.app import AppSettings, create_app
from omni.kit.errors import NotFound, Unavailable
from omni.telemetry import sentry
from omni.telemetry.metrics import HttpMetrics
from omni.telemetry.traces import Tracing

CANARY = "canary-93ae 4111 1111 1111 1111 omni_live_canary"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def routes() -> APIRouter:
    router = APIRouter()

    @router.post("/v1/breaks")
    async def breaks(request: Request) -> None:
        prompt = (await request.body()).decode()
        try:
            raise NotFound("unknown_thing", f"There is no {prompt}.")
        except NotFound:
            raise ValueError(f"invalid literal: {prompt}") from KeyError(prompt)

    @router.get("/v1/breaks-off")
    async def breaks_off() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a part"
            raise ArithmeticError(CANARY)

        return StreamingResponse(parts())

    return router


async def break_a_request() -> None:
    tracing = Tracing("backend", "1", None)
    settings = AppSettings("test", "1", 10_000, trust_request_id=True)
    app = create_app(settings, [routes()], {}, tracing, HttpMetrics(CollectorRegistry()))
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    headers = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01", "authorization": CANARY, "cookie": CANARY}
    async with httpx2.AsyncClient(transport=transport, base_url="http://backend") as client:
        answer = await client.post(f"/v1/breaks?q={CANARY}", content=CANARY, headers=headers)
        assert answer.status_code == 500
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
        with suppress(AssertionError):  # of httpx2's transport: the answer does not come to its end
            await client.get("/v1/breaks-off", headers=headers)


def break_a_task() -> None:
    log = structlog.stdlib.get_logger("omni.tasks")
    prompt = CANARY
    with Tracing("tasks", "1", None).task_span("billing.run", f"00-{TRACE_ID}-00f067aa0ba902b7-01"):
        try:
            raise Unavailable("database_busy", f"All are in use: {prompt}")
        except Unavailable as error:
            log.error("task_buried", exc_info=error)
            log.error("task_buried_again", exc_info=error)
        log.error("nothing_raised", value=1)
        log.warning("task_failed", reason=ValueError(prompt), exc_info=ValueError(prompt))


def break_a_thread() -> None:
    def work(prompt: str) -> None:
        raise LookupError(prompt)

    thread = threading.Thread(target=work, args=(CANARY,))
    thread.start()
    thread.join()


def plant_a_fault() -> None:
    sentry._bare = lambda event, _hint, _process: event  # type: ignore[assignment]


def main() -> None:
    if sys.argv[1:] == ["event"]:
        plant_a_fault()
    begin("backend", Settings())
    asyncio.run(break_a_request())
    break_a_task()
    break_a_thread()
    raise RuntimeError(CANARY)


if __name__ == "__main__":
    main()
