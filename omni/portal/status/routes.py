"""Every route of the status process."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from omni.portal.status.api import api_routes
from omni.portal.status.deps import StatusPortal
from omni.portal.status.pages import Pages
from omni.portal.status.public import public_routes
from omni.portal.status.recalling import recalling_routes
from omni.portal.status.subscribing import subscribing_routes
from omni.portal.status.writing import writing_routes


def status_app(portal: StatusPortal) -> Starlette:
    """The application; what does not exist answers with a page, below `/api` with JSON."""
    pages = Pages(portal)

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if request.url.path.startswith("/api/") or status != 404:
            detail = error.detail if isinstance(error, HTTPException) else ""
            headers = error.headers if isinstance(error, HTTPException) else None
            return JSONResponse({"title": detail, "status": status}, status, headers)
        return pages.html(request, "message.html", 404, head="not_found", note="not_found_note", values={})

    routes = [
        *public_routes(portal, pages),
        *api_routes(portal),
        *writing_routes(portal),
        *recalling_routes(portal),
        *subscribing_routes(portal, pages),
        Route("/livez", alive),
        Route("/readyz", alive),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: missing})
