"""The documentation pages: every `doc_url` leads to a heading, and nothing but their own style may load."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from omni.contracts.docs import ERRORS_PATH, SLA_PATH, doc_url, page_headers
from omni.portal.docs.pages import _render, errors_page, sla_page
from omni.portal.docs.routes import router
from tests.test_error_docs import in_page


class Seen(HTMLParser):
    """Tags and ids of a page."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]


def test_every_code_is_a_heading_that_can_be_linked_to() -> None:
    seen = Seen(errors_page())
    assert seen.ids == [code for code, _ in in_page()]
    assert doc_url(seen.ids[0]) == f"/docs/errors#{seen.ids[0]}"


def test_the_page_needs_nothing_that_its_policy_forbids() -> None:
    html = errors_page()
    seen = Seen(html)
    assert not seen.tags & {"script", "img", "link", "iframe", "form", "object"}
    assert not seen.attributes & {"style", "src"}
    assert not {name for name in seen.attributes if name.startswith("on")}
    style = re.search(rb"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1]).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in page_headers(html)["content-security-policy"]


def test_raw_html_in_markdown_stays_text() -> None:
    html = _render("# A & B\n\n<script>x</script>\n\n## c\n\n[y](javascript:z)\n")
    assert b"<script>" not in html
    assert b"&lt;script&gt;" in html
    assert b'href="javascript' not in html
    assert b"<title>A &amp; B" in html


@pytest.mark.parametrize(("path", "page"), [(ERRORS_PATH, errors_page), (SLA_PATH, sla_page)])
def test_the_console_serves_it_outside_the_schema(path: str, page: Callable[[], bytes]) -> None:
    app = FastAPI()
    app.include_router(router())
    with TestClient(app) as client:
        answer = client.get(path)
    assert (answer.status_code, answer.content) == (200, page())
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert path not in app.openapi()["paths"]
