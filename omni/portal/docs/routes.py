"""The documentation pages on the console."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from omni.contracts.docs import ERRORS_PATH, SLA_PATH, page_headers
from omni.kit.errors import NotFound
from omni.portal.docs.pages import errors_page, runbook_pages, sla_page


def router() -> APIRouter:
    """`/docs/errors`, `/docs/sla` and `/docs/runbooks/{alert}`, rendered once."""
    made = APIRouter(include_in_schema=False)
    html = errors_page()
    headers = page_headers(html)

    @made.get(ERRORS_PATH)
    async def errors() -> Response:
        return Response(html, headers=headers)

    terms = sla_page()
    its_own_headers = page_headers(terms)

    @made.get(SLA_PATH)
    async def service_levels() -> Response:
        return Response(terms, headers=its_own_headers)

    runbooks = {name: (page, page_headers(page)) for name, page in runbook_pages().items()}

    @made.get("/docs/runbooks")
    @made.get("/docs/runbooks/{alert}")
    async def runbook(alert: str = "") -> Response:
        if alert not in runbooks:
            raise NotFound("runbook_not_found", "There is no such runbook; see /docs/runbooks.")
        page, its_headers = runbooks[alert]
        return Response(page, headers=its_headers)

    return made
