"""Text of files."""

from __future__ import annotations

from omni.inference.retrieval.html_text import html_text


def test_html_leaves_only_what_a_reader_sees() -> None:
    page = """<!doctype html><html><head><title>T</title><style>p{}</style></head><body>
      <h1>Head&amp;ing</h1><script>alert("x")</script><p>First <b>bold</b>
      line.<br>Second line.</p><ul><li>one</li><li>two</li></ul><svg><text>hidden</text></svg></body></html>"""
    assert html_text(page) == "Head&ing\n\nFirst bold\nline.\nSecond line.\n\none\n\ntwo"


def test_html_without_a_body_or_with_open_tags_is_read() -> None:
    assert html_text("just text") == "just text"
    assert html_text("<head><title>x<body><p>open") == "open"
    assert html_text("<div>" * 5_000 + "deep") == "deep"


def test_broken_html_never_fails() -> None:
    for page in (
        "<",
        "<!--",
        "<![CDATA[",
        "</nothing>",
        "<p attr='",
        "&#xffffffff;",
        "<!DOCTYPE [<!ENTITY a 'b'>]>&a;",
    ):
        html_text(page)
