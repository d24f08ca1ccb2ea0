"""The document for people: PDF/A-3b with the Factur-X XML inside, set in fonts that come with this package."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path

import pikepdf
import typst

from omni.domains.billing.documents.cii import expressible, factur_x_xml
from omni.domains.billing.documents.contracts import InvoiceDocument
from omni.domains.billing.documents.rules import check
from omni.domains.billing.documents.view import view

XML_NAME = "factur-x.xml"
_FOLDER = Path(__file__).resolve().parent


def render_pdf(document: InvoiceDocument) -> bytes:
    """The document as PDF; the same document gives the same bytes.

    In a currency with three decimals, which EN 16931 cannot hold, it has no XML inside. Raises ValueError for a
    document that `check` refuses and for one with characters that no font of this package has.
    """
    check(document)
    xml = factur_x_xml(document) if expressible(document.currency) else b""
    inputs = {"view": json.dumps(view(document)), "xml": xml.decode()}
    issued = datetime.combine(document.issue_date, time(), UTC)
    compiler = typst.Compiler(
        _FOLDER.joinpath("invoice.typ"),
        root=_FOLDER,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs=inputs,
    )
    try:
        compiled = compiler.compile(format="pdf", pdf_standards=["a-3b"], timestamp=issued)
    except typst.TypstError as error:
        raise ValueError(f"the document cannot be set: {error.message}") from error
    assert isinstance(compiled, bytes)
    return _with_factur_x_metadata(compiled) if xml else compiled


@cache
def _fonts() -> typst.Fonts:
    """Source Sans Pro, and the fonts within typst for scripts that it lacks; none of the machine's own."""
    return typst.Fonts(include_system_fonts=False, font_paths=[_FOLDER.joinpath("fonts")])


def _with_factur_x_metadata(pdf: bytes) -> bytes:
    """Adds to the XMP packet what Factur-X 1.0 (chapter 6.2.2) asks for: its four properties and their schema."""
    extension = _FOLDER.joinpath("factur_x_extension.xml").read_text("utf-8").strip()
    properties = _FOLDER.joinpath("factur_x_properties.xml").read_text("utf-8").strip()
    written = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        stream = opened.Root.Metadata
        packet = stream.read_bytes().decode()
        bag_end, rdf_end = "</rdf:Bag></pdfaExtension:schemas>", "</rdf:RDF>"
        assert packet.count(bag_end) == packet.count(rdf_end) == 1, "typst writes its metadata otherwise"
        packet = packet.replace(bag_end, extension + bag_end).replace(rdf_end, properties + rdf_end)
        stream.write(packet.encode())
        opened.save(written, deterministic_id=True, compress_streams=False)
    return written.getvalue()
