"""The readable text of a Word file (Office Open XML, ECMA-376), read without ever holding it unpacked.

What the archive claims is not believed: parts are unpacked piece by piece into a parser that builds no tree, until a
limit is reached.
"""

from __future__ import annotations

import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from lxml import etree

from omni.kit.errors import InvalidInput, OmniError, TooLarge, UnsupportedType

ZIP_MAGIC = b"PK\x03\x04"
MAX_DIRECTORY_BYTES = 1024 * 1024  # of the archive's list of files: some 10,000 of them
MAX_PART_BYTES = 64 * 1024 * 1024  # of one part, unpacked
MAX_ELEMENTS = 2_000_000  # of one part: some seconds of work
_PIECE_BYTES = 64 * 1024
_END_OF_DIRECTORY, _END_BYTES = b"PK\x05\x06", 22
_HEADING_NAME = re.compile(r"heading ([1-6])")
_SKIPPED = frozenset({"del", "moveFrom", "Fallback", "rPr", "sectPr", "instrText", "delText", "tabs"})
_BROKEN = (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, struct.error, EOFError, OSError, ValueError, KeyError)
_BROKEN_TYPES = (*_BROKEN, NotImplementedError, RuntimeError)  # zipfile's for unknown methods and encrypted parts


def docx_text(data: bytes, max_text_bytes: int, seconds_left: Callable[[], float]) -> str:
    """Paragraphs between empty lines, headings as in Markdown, list items with a dash, table rows as `a | b`; then the
    notes. Deleted text, comments, headers and footers are left out.

    `seconds_left` is asked now and then and raises when time is over. Raises InvalidInput `broken_document` or
    `document_encrypted`, UnsupportedType `content_type_mismatch`, TooLarge `document_text_too_large` or
    `document_too_complex`.
    """
    try:
        _check_directory(data)
        with zipfile.ZipFile(BytesIO(data)) as archive:
            main = _main_part(archive, seconds_left)
            folder = posixpath.dirname(main)
            styles = _Styles()
            _parse(archive, f"{folder}/styles.xml", styles, seconds_left)
            body = _Body(styles, max_text_bytes)
            if not _parse(archive, main, body, seconds_left):
                raise _broken("has no main part")
            if body.root != "document":
                raise UnsupportedType(
                    "content_type_mismatch", "The file is no Word document. Send its true content type."
                )
            for notes in ("footnotes", "endnotes"):
                _parse(archive, f"{folder}/{notes}.xml", body, seconds_left)
    except OmniError:
        raise
    except _BROKEN_TYPES as error:
        raise _broken(repr(error)) from error
    return body.text()


def _check_directory(data: bytes) -> None:
    """Refuses archives whose list of files alone is a load: `zipfile` reads all of it when it opens one."""
    at = data.rfind(_END_OF_DIRECTORY, max(0, len(data) - _END_BYTES - 0xFFFF))
    if at < 0 or len(data) < at + _END_BYTES:
        raise _broken("has no directory")
    size = struct.unpack_from("<I", data, at + 12)[0]
    if size > MAX_DIRECTORY_BYTES or data[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise _too_complex()


def _main_part(archive: zipfile.ZipFile, seconds_left: Callable[[], float]) -> str:
    relations = _Relations()
    _parse(archive, "_rels/.rels", relations, seconds_left)
    if relations.main is None:
        raise _broken("names no main part")
    return relations.main.lstrip("/")


def _parse(archive: zipfile.ZipFile, name: str, target: _Target, seconds_left: Callable[[], float]) -> bool:
    """Feeds a part to a parser target; False when the archive has no such part."""
    try:
        part = archive.getinfo(name)
    except KeyError:
        return False
    if part.flag_bits & 0x1:
        raise InvalidInput("document_encrypted", "The document is protected by a password. Send it without.")
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _broken("is packed in an unusual way")
    called: Any = target  # the stubs ask for methods that lxml does without
    parser = etree.XMLParser(
        target=called, resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True
    )
    size = 0
    with archive.open(part) as file:
        while piece := file.read(_PIECE_BYTES):
            seconds_left()
            size += len(piece)
            if size > MAX_PART_BYTES:
                raise _too_complex()
            parser.feed(piece)
    parser.close()
    return True


class _Target:
    """What lxml's parser calls; no tree is built."""

    root: str | None = None
    elements = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if self.root is None:
            self.root = name
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise _too_complex()
        self.begin(name, {key.rpartition("}")[2]: value for key, value in attributes.items()})

    def end(self, tag: str) -> None:
        self.finish(tag.rpartition("}")[2])

    def data(self, text: str) -> None:
        """Characters of the current element."""

    def doctype(self, *_: object) -> None:
        """Office files have none; with one come entities."""
        raise _broken("has a document type")

    def close(self) -> None:
        """The part is over."""

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def finish(self, name: str) -> None:
        """An element ends."""


class _Relations(_Target):
    """Finds the main part."""

    main: str | None = None

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("Type", "").endswith("/officeDocument"):
            self.main = attributes.get("Target")


class _Styles(_Target):
    """Which styles are headings, of which level, and which items of lists. Built-in names are English everywhere."""

    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self.items: set[str] = set()
        self._style = ""

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "style":
            self._style = attributes.get("styleId", "")
        elif name == "numPr":
            self.items.add(self._style)
        elif name == "name":
            given = attributes.get("val", "").casefold()
            found = _HEADING_NAME.fullmatch(given)
            if found or given == "title":
                self.levels[self._style] = int(found[1]) if found else 1


class _Paragraph:
    """One that is open; text boxes put paragraphs into paragraphs."""

    __slots__ = ("is_item", "level", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.level = 0
        self.is_item = False


class _Body(_Target):
    """Gathers paragraphs and tables."""

    def __init__(self, styles: _Styles, max_text_bytes: int) -> None:
        self._styles = styles
        self._max_text_bytes = max_text_bytes
        self._size = 0
        self._blocks: list[tuple[str, bool]] = []  # text, and whether it goes on the line after a block of its kind
        self._paragraphs: list[_Paragraph] = []
        self._rows: list[list[str]] = []
        self._cells: list[list[str]] = []
        self._skipped = 0
        self._in_text = False

    def text(self) -> str:
        """All of it."""
        return "".join(self._joined()).strip()

    def _joined(self) -> Iterator[str]:
        follows = False
        for text, is_line in self._blocks:
            yield "\n" if follows and is_line else "\n\n"
            yield text
            follows = is_line

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
            return
        paragraph = self._paragraphs[-1] if self._paragraphs else None
        match name:
            case "p":
                self._paragraphs.append(_Paragraph())
            case "tr":
                self._rows.append([])
            case "tc":
                self._cells.append([])
            case "t":
                self._in_text = True
            case "pStyle" if paragraph:
                style = attributes.get("val", "")
                paragraph.level = self._styles.levels.get(style, 0)
                paragraph.is_item = style in self._styles.items
            case "numPr" if paragraph:
                paragraph.is_item = True
            case "tab" | "br" | "cr" | "noBreakHyphen" if paragraph:
                self._add({"tab": "\t", "noBreakHyphen": "-"}.get(name, "\n"))

    def finish(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        match name:
            case "t":
                self._in_text = False
            case "p" if self._paragraphs:
                self._end_paragraph(self._paragraphs.pop())
            case "tc" if self._cells:
                cell = " ".join(self._cells.pop())
                if self._rows:
                    self._rows[-1].append(cell)
            case "tr" if self._rows:
                self._end_row(self._rows.pop())

    def data(self, text: str) -> None:
        if self._in_text and not self._skipped and self._paragraphs:
            self._add(text)

    def _add(self, text: str) -> None:
        self._size += len(text.encode("utf-8")) + 2  # and what joins it to the next
        if self._size > self._max_text_bytes:
            raise TooLarge(
                "document_text_too_large",
                f"The document holds more than {self._max_text_bytes} bytes of text. Split it.",
                max_bytes=self._max_text_bytes,
            )
        self._paragraphs[-1].parts.append(text)

    def _end_paragraph(self, paragraph: _Paragraph) -> None:
        text = "".join(paragraph.parts).strip()
        if not text:
            return
        if self._cells:
            self._cells[-1].append(" ".join(text.split()))
        elif paragraph.level:
            self._blocks.append((f"{'#' * paragraph.level} {' '.join(text.split())}", False))
        else:
            self._blocks.append((f"- {text}" if paragraph.is_item else text, paragraph.is_item))

    def _end_row(self, cells: list[str]) -> None:
        row = " | ".join(cells)
        if not row.strip(" |"):
            return
        if self._cells:  # a table within a cell
            self._cells[-1].append(row)
        else:
            self._blocks.append((row, True))


def _broken(internal: str) -> InvalidInput:
    return InvalidInput(
        "broken_document",
        "The document cannot be read. Check that it opens in Word, then save it anew.",
        internal=internal,
    )


def _too_complex() -> TooLarge:
    return TooLarge("document_too_complex", "Reading the document takes too much memory or time. Simplify or split it.")
