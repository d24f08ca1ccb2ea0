"""The documentation pages on the console."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from omni.contracts.docs import ERRORS_PATH, page_headers
from omni.portal.docs.pages import errors_page


def router() -> APIRouter:
    """`/docs/errors`, rendered once."""
    made = APIRouter(include_in_schema=False)
    html = errors_page()
    headers = page_headers(html)

    @made.get(ERRORS_PATH)
    async def errors() -> Response:
        return Response(html, headers=headers)

    return made
