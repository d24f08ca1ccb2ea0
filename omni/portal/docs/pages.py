"""The pages, rendered from the Markdown beside this file."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from omni.portal.ui import TOKENS

FOLDER = Path(__file__).parent


def errors_page() -> bytes:
    """Every error code with its cause and remedy, as HTML; each code is the id of its heading."""
    return _render((FOLDER / "errors.md").read_text("utf-8"))


def sla_page() -> bytes:
    """What availability is and when it is credited, as HTML."""
    return _render((FOLDER / "sla.md").read_text("utf-8"))


def runbook_pages() -> dict[str, bytes]:
    """What to do about each alert, as HTML by the alert's name; under the empty name a list of them all."""
    files = sorted((FOLDER / "runbooks").glob("*.md"))
    links = "\n".join(f"- [{file.stem}](/docs/runbooks/{file.stem})" for file in files)
    listed = f"# Runbooks\n\nWhat each alert means, and what to do about it.\n\n{links}\n"
    return {"": _render(listed)} | {file.stem: _render(file.read_text("utf-8")) for file in files}


def _render(markdown: str) -> bytes:
    """A whole page. The first heading is its title; the others can be linked to by their text."""
    parser = MarkdownIt("commonmark", {"html": False})
    tokens = parser.parse(markdown)
    headings = [
        (token, tokens[index + 1].content) for index, token in enumerate(tokens) if token.type == "heading_open"
    ]
    for token, text in headings[1:]:
        token.attrSet("id", text)
    body = Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - our own text, raw HTML is off
    templates = Environment(
        loader=FileSystemLoader([FOLDER / "templates", TOKENS]), autoescape=select_autoescape(["html"])
    )
    return templates.get_template("page.html").render(title=headings[0][1], body=body).encode("utf-8")
