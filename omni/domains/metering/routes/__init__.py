"""Routes of metering, a file per area."""

from __future__ import annotations

from fastapi import APIRouter

from omni.domains.metering.routes import margins, meters, usage
from omni.domains.metering.routes.deps import MeteringDeps
from omni.domains.metering.routes.ingest import IngestDeps, ingest_router

__all__ = ["IngestDeps", "MeteringDeps", "ingest_router", "router"]


def router(deps: MeteringDeps) -> APIRouter:
    """The routes of `/api`."""
    routes = APIRouter(prefix="/api", tags=["usage"])
    for area in (meters, usage, margins):
        area.add_routes(routes, deps)
    return routes
