"""The FastAPI application that the backend and the console start from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from omni.foundation.http.bodies import BodyLimit
from omni.foundation.http.json import JSONBytes
from omni.foundation.http.openapi import PROBLEM_RESPONSES, with_public_contract
from omni.foundation.http.problems import install_problem_handlers
from omni.foundation.http.request_ids import RequestContext
from omni.kit.errors import OmniError
from omni.telemetry.metrics import HttpMetrics
from omni.telemetry.traces import Tracing

Check = Callable[[], Awaitable[None]]
"""A readiness check; raises OmniError with what is wrong."""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What differs between the applications."""

    title: str
    version: str
    max_body_bytes: int
    trust_request_id: bool
    """True behind the gateway, which mints the ids."""
    api_keys: bool = False
    """Whether OpenAPI says that callers prove themselves with API keys (to the gateway)."""


def create_app(
    settings: AppSettings,
    routers: Sequence[APIRouter],
    checks: dict[str, Check],
    tracing: Tracing,
    metrics: HttpMetrics,
) -> FastAPI:
    """An application with problems, request ids, limits, `/livez`, `/readyz` and the given routers."""
    app = FastAPI(
        title=settings.title,
        version=settings.version,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEM_RESPONSES,
    )
    if settings.api_keys:
        app.openapi = with_public_contract(app)  # type: ignore[method-assign]  # how FastAPI wants it extended
    for router in routers:
        app.include_router(router)
    app.include_router(_health(checks))
    install_problem_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    build = app.build_middleware_stack

    def with_context() -> ASGIApp:
        return RequestContext(build(), tracing, metrics, settings.trust_request_id)

    app.build_middleware_stack = with_context  # type: ignore[method-assign]  # around what turns crashes into answers
    return app


def _health(checks: dict[str, Check]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> JSONBytes:
        return JSONBytes({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> JSONBytes:
        findings: dict[str, str] = {}
        for name, check in checks.items():
            try:
                await check()
                findings[name] = "ok"
            except OmniError as error:
                findings[name] = error.message
        ready = all(finding == "ok" for finding in findings.values())
        return JSONBytes({"status": "ok" if ready else "not_ready", "checks": findings}, 200 if ready else 503)

    return router
