"""Renders pages of the console, and serves what they load. Nothing of them comes from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from omni.domains.identity.contracts import CurrentUser
from omni.kit.errors import NotFound
from omni.portal.ui import TOKENS

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types operations"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load, under an address that changes with its content."""

    name: str
    content: bytes
    media_type: str

    @property
    def path(self) -> str:
        return f"/assets/{hashlib.sha256(self.content).hexdigest()[:16]}/{self.name}"


class ConsolePages:
    """The templates of some areas, each a folder with templates, and perhaps with `area.css` and `area.js`."""

    def __init__(self, *areas: Path) -> None:
        style = b"\n".join(
            file.read_bytes()
            for file in (TOKENS / "tokens.css", TOKENS / "base.css", *(area / "area.css" for area in areas))
            if file.exists()
        )
        scripts = [
            Asset(f"{area.parent.name}.js", (area / "area.js").read_bytes(), "text/javascript; charset=utf-8")
            for area in areas
            if (area / "area.js").exists()
        ]
        icon = Asset("icon.svg", (TOKENS / "icon.svg").read_bytes(), "image/svg+xml")
        assets = [Asset("console.css", style, "text/css; charset=utf-8"), icon, *scripts]
        self.assets: Mapping[str, Asset] = {asset.name: asset for asset in assets}
        self._templates = Environment(
            loader=FileSystemLoader([*areas, TOKENS]),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["asset"] = lambda name: self.assets[name].path

    def html(
        self, request: Request, template: str, user: CurrentUser | None, status: int = 200, **values: Any
    ) -> Response:
        """A whole page; `user` is whose name it shows."""
        content = self._templates.get_template(template).render(here=request.url.path, user=user, **values)
        return HTMLResponse(content, status, dict(_HEADERS))

    def router(self) -> APIRouter:
        """`/assets`: kept by browsers for good, since another content has another address."""
        routes = APIRouter(include_in_schema=False)
        by_path = {asset.path: asset for asset in self.assets.values()}

        @routes.get("/assets/{digest}/{name}")
        async def asset(request: Request) -> Response:
            found = by_path.get(request.url.path)
            if found is None:
                raise NotFound("asset_not_found", "There is no such file; load the page again.")
            headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
            return Response(found.content, media_type=found.media_type, headers=headers)

        return routes
