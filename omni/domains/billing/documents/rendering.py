"""Documents as files. What sets them is loaded with the first one: it is large, and most processes never set any."""

from __future__ import annotations

from omni.domains.billing.documents.contracts import InvoiceDocument


def render_pdf(document: InvoiceDocument) -> bytes:
    """As `pdf.render_pdf`."""
    from omni.domains.billing.documents import pdf  # noqa: PLC0415 - typst, pikepdf, lxml, babel

    return pdf.render_pdf(document)


def factur_x_xml(document: InvoiceDocument) -> bytes:
    """As `cii.factur_x_xml`."""
    from omni.domains.billing.documents import cii  # noqa: PLC0415 - lxml, babel

    return cii.factur_x_xml(document)
