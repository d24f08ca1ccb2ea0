"""Renders templates in the reader's language, with a policy that lets nothing but the page's own style through."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from omni.domains.status.contracts import Language
from omni.domains.status.service.overview import ComponentStatus
from omni.domains.status.service.probing import PROBE_SECONDS
from omni.domains.status.wording import Wording, best_language, load_wordings
from omni.portal.status.deps import StatusPortal
from omni.portal.ui import TOKENS

FEW_FAILURES_BASIS_POINTS = 9_900
"""A day below this share of good probes is drawn as an outage, one between it and 100 % as a disturbance."""


class Pages:
    """The templates."""

    def __init__(self, portal: StatusPortal) -> None:
        self._portal = portal
        self.wordings: Mapping[Language, Wording] = load_wordings()
        self.templates = Environment(
            loader=FileSystemLoader([Path(__file__).parent / "templates", TOKENS]),
            autoescape=select_autoescape(["html", "xml", "svg"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def wording(self, request: Request) -> Wording:
        asked = request.query_params.get("lang")
        return self.wordings[best_language(asked, request.headers.get("accept-language", ""))]

    def html(self, request: Request, template: str, status_code: int = 200, **values: Any) -> Response:
        wording = self.wording(request)
        nonce = secrets.token_urlsafe(16)
        names = {found.component_id: found.name for found in self._portal.overview.components}
        html = self.templates.get_template(template).render(
            t=wording.text, wording=wording, nonce=nonce, names=names, path=request.url.path, **values
        )
        return HTMLResponse(html, status_code, self._headers(wording, nonce))

    @staticmethod
    def _headers(wording: Wording, nonce: str) -> dict[str, str]:
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        return {
            "Content-Security-Policy": policy,
            "Content-Language": wording.language,
            "Vary": "Accept-Language",
            "Cache-Control": "no-cache",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


def bars(status: ComponentStatus, wording: Wording) -> list[tuple[str, str]]:
    """A class and a text for each of the 90 days."""
    drawn = []
    for day in status.days:
        when = wording.day(day.day)
        if not day.total:
            drawn.append(("none", f"{when}: {wording.text('day_none')}"))
            continue
        share = day.good * 10_000 // day.total
        failed = day.total - day.good
        kind = "good" if not failed else "fair" if share >= FEW_FAILURES_BASIS_POINTS else "bad"
        down = wording.text("day_down", duration=wording.duration(failed * PROBE_SECONDS))
        drawn.append((kind, f"{when}: {wording.percent(share)}, {down if failed else wording.text('day_good')}"))
    return drawn
