"""Sentences and headings of a text, as exact places in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_HEADING_CHARS = 100
# A stop with closing quotes or brackets, white space, and something that can begin a sentence. Possessive, and only at
# the beginning of a run of stops, so that a million of them are read once.
_STOP = re.compile(r"""(?<![.!?…])[.!?…]++["'”’)\]]*+(?=\s+["'“‘(\[]*[^\s\W_])|[。！？]""")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'])(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Sec|Art|Fig|Eq|vs|etc|e\.g|i\.e|cf|ca|Inc|Ltd"
    r"|Co|Corp|Jr|Sr|npr|oz|št|čl|str|dr)\.$"
)
_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?[0-9a-zA-Z]{1,3}[.)])\s*$")
_MARKDOWN_HEADING = re.compile(r"^#{1,6}\s")


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text[start:end]`, without white space around it."""

    start: int
    end: int
    is_heading: bool


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a text in order, headings marked. A sentence may go on over a line's end, never over an empty
    line.

    Everything that is not white space is in exactly one sentence.
    """
    start = 0
    for gap in [*_PARAGRAPH.finditer(text), None]:
        end = gap.start() if gap else len(text)
        yield from _of_paragraph(text, start, end)
        start = gap.end() if gap else end


def _of_paragraph(text: str, start: int, end: int) -> Iterator[Sentence]:
    first_line = text[start:end].partition("\n")[0]
    if _MARKDOWN_HEADING.match(first_line):
        yield from _trimmed(text, start, start + len(first_line), is_heading=True)
        start += len(first_line)
    elif _looks_like_heading(text[start:end]):
        yield from _trimmed(text, start, end, is_heading=True)
        return
    begin = start
    for stop in _STOP.finditer(text, start, end):
        so_far = text[max(begin, stop.end() - 40) : stop.end()]
        if _ABBREVIATION.search(so_far) or _ITEM.match(text[begin : min(stop.end(), begin + 12)]):
            continue
        yield from _trimmed(text, begin, stop.end())
        begin = stop.end()
    yield from _trimmed(text, begin, end)


def _looks_like_heading(paragraph: str) -> bool:
    """One short line without a full stop that begins like a title."""
    line = paragraph.strip()
    if not line or "\n" in line or len(line) > MAX_HEADING_CHARS or line[-1] in ".,;:!?":
        return False
    return line[0].isupper() or line[0].isdigit()


def _trimmed(text: str, start: int, end: int, is_heading: bool = False) -> Iterator[Sentence]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Sentence(start, end, is_heading)
