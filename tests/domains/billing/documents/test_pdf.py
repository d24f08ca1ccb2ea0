"""The PDF: its text holds each amount, its XML is the document's, its code pays the right sum, its bytes are stable."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import cv2
import numpy as np
import pikepdf
import pypdfium2
import pytest

from omni.domains.billing.documents.cii import factur_x_xml
from omni.domains.billing.documents.contracts import InvoiceDocument, Party
from omni.domains.billing.documents.pdf import render_pdf
from omni.domains.billing.documents.references import epc_payload
from omni.domains.billing.documents.wording import amount_text, number_text, period_text, words
from tests.domains.billing.documents.examples import (
    BUYER,
    SELLER,
    credit_note,
    document,
    line,
    reverse_charge,
    usual,
)


def pages(pdf: bytes) -> list[str]:
    """The text of each page on one line, without invisible break marks."""
    opened = pypdfium2.PdfDocument(pdf)
    found = [opened[index].get_textpage().get_text_bounded() for index in range(len(opened))]
    opened.close()
    return [" ".join(text.replace("\u200b", "").split()) for text in found]


def codes(pdf: bytes) -> str:
    """What a camera reads from the first page's QR code."""
    opened = pypdfium2.PdfDocument(pdf)
    image = np.asarray(opened[len(opened) - 1].render(scale=4).to_pil().convert("L"))
    opened.close()
    return cv2.QRCodeDetector().detectAndDecode(image)[0]


@pytest.mark.parametrize("made", [usual(), usual(language="sl", paid_minor=1000), credit_note(), reverse_charge()])
def test_every_amount_and_name_is_on_the_page(made: InvoiceDocument) -> None:
    text = "\n".join(pages(render_pdf(made)))
    amounts = [entry.net_minor for entry in made.lines] + [-allowance.amount_minor for allowance in made.allowances]
    for tax in made.taxes:
        amounts += [tax.base_minor, tax.tax_minor]
    amounts += [made.totals.net_minor, made.totals.gross_minor, made.totals.due_minor]
    if made.totals.paid_minor:
        amounts.append(-made.totals.paid_minor)
    for amount in amounts:
        assert amount_text(amount, made.currency, made.language) in text
    for entry in made.lines:
        assert entry.description in text
        assert number_text(entry.quantity, made.language) in text
        assert number_text(entry.unit_price, made.language) in text
    for party in (made.seller, made.buyer):
        for told in (party.name, party.street, party.city, party.vat_id, party.registration_number):
            assert told in text
    assert made.number in text
    assert period_text(made.period_start, made.period_end, made.language).replace("\u00a0", " ") in text


def test_in_english() -> None:
    (text,) = pages(render_pdf(usual()))
    for told in (
        "Invoice No. 2026-000123", "1 December 2026", "15 December 2026", "1–30 November 2026", "18,345,678",
        "per 1,000,000", "0.000000125", "VAT 22 % on 49.47", "Discount: WELCOME10 (10 %)", "Amount due", "63.77 EUR",
        "SI56 1910 0000 0123 438", "LJBASI2X", "RF462026000123",
        "https://pay.omni.example/i/2026-000123", "Page 1 of 1",
        "Thank you for your business.",
    ):  # fmt: skip
        assert told in text


def test_in_slovenian() -> None:
    (text,) = pages(render_pdf(usual(language="sl", payment_reference="SI00 2026-000123")))
    for told in (
        "Račun št. 2026-000123", "Datum izdaje", "1. 12. 2026", "15. 12. 2026", "1.–30. 11. 2026", "18.345.678",
        "za 1.000.000", "0,000000125", "Davčna osnova", "DDV 22 % od osnove 49,47", "DDV 9,5 % od osnove 3,12",
        "Popust: WELCOME10 (10 %)", "Znesek za plačilo", "63,77 EUR", "ID za DDV: SI15012557", "SI00 2026-000123",
        "Stran 1 od 1",
    ):  # fmt: skip
        assert told in text


def test_both_languages_have_the_same_words() -> None:
    assert words("en").keys() == words("sl").keys()


def test_a_slovenian_credit_note_and_reverse_charge() -> None:
    (text,) = pages(render_pdf(credit_note(language="sl")))
    assert "Dobropis" in text
    assert "Popravlja račun" in text
    assert "2026-000098 z dne 1. 11. 2026" in text
    assert "Znesek dobropisa" in text
    assert "IBAN" not in text
    (text,) = pages(render_pdf(reverse_charge(language="sl")))
    assert "Obrnjena davčna obveznost" in text
    assert "DDV 0 % (obrnjena davčna obveznost) od osnove 49,00" in text


@pytest.mark.parametrize("made", [usual(), usual(language="sl"), credit_note()])
def test_the_xml_inside_is_the_documents(made: InvoiceDocument) -> None:
    with pikepdf.open(io.BytesIO(render_pdf(made))) as opened:
        assert list(opened.attachments) == ["factur-x.xml"]
        assert opened.attachments["factur-x.xml"].get_file().read_bytes() == factur_x_xml(made)
        (attached,) = opened.Root.AF
        assert attached.AFRelationship == "/Alternative"
        assert attached.EF.F.Subtype == "/text/xml"
        packet = opened.Root.Metadata.read_bytes().decode()
        with opened.open_metadata() as metadata:
            assert metadata["pdfaid:part"] == "3"
            assert metadata["pdfaid:conformance"] == "B"
            fx = "{urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#}"
            assert metadata[f"{fx}DocumentFileName"] == "factur-x.xml"
            assert metadata[f"{fx}ConformanceLevel"] == "EN 16931"
            assert metadata[f"{fx}DocumentType"] == "INVOICE"
            assert metadata[f"{fx}Version"] == "1.0"
        assert "Factur-X PDFA Extension Schema" in packet
        assert opened.Root.OutputIntents


def test_fonts_are_inside() -> None:
    with pikepdf.open(io.BytesIO(render_pdf(usual()))) as opened:
        fonts = opened.pages[0].Resources.Font
        names = {str(font.DescendantFonts[0].BaseFont) for font in fonts.as_dict().values()}
        assert all("SourceSansPro" in name for name in names)
        for font in fonts.as_dict().values():
            assert {"/FontFile2", "/FontFile3"} & set(font.DescendantFonts[0].FontDescriptor.keys())


def test_the_same_document_gives_the_same_bytes() -> None:
    assert render_pdf(usual()) == render_pdf(usual())
    assert render_pdf(usual()) != render_pdf(usual(number="2026-000124"))


@pytest.mark.parametrize("reference", ["RF462026000123", "SI00 2026-000123"])
def test_a_camera_reads_the_payment_code(reference: str) -> None:
    made = usual(payment_reference=reference)
    wanted = epc_payload(SELLER.name, SELLER.iban, SELLER.bic, 6377, reference)
    assert codes(render_pdf(made)) == wanted


@pytest.mark.parametrize(
    "made",
    [
        usual(paid_minor=6377),
        credit_note(),
        usual(seller=replace(SELLER, iban="", bic="")),
        usual(currency="USD"),
    ],
)
def test_no_code_where_no_transfer_in_euros_is_due(made: InvoiceDocument) -> None:
    assert codes(render_pdf(made)) == ""


def test_long_lists_go_over_pages_with_their_header() -> None:
    made = document([line(index, f"Line number {index}", "3", "1.10") for index in range(1, 75)], language="sl")
    texts = pages(render_pdf(made))
    assert len(texts) == 4
    for index, text in enumerate(texts):
        assert "Cena na enoto" in text
        assert f"Stran {index + 1} od 4" in text
    assert all("Račun 2026-000123" in text for text in texts[1:])
    listed = [index for text in texts for index in range(1, 75) if f"Line number {index} " in text]
    assert listed == list(range(1, 75))


def test_long_names_stay_on_the_page() -> None:
    name = "Zavod za raziskave naprednih računalniških sistemov in umetne inteligence, javni zavod"
    email = "the.accounting.department.of.a.long.name@department-of-research.example"
    buyer = Party(name, "Koroška cesta 46, tretje nadstropje", "2000", "Maribor", "SI", "SI59082437", email=email)
    made = document(
        [line(1, "An endpoint whose name is long enough for the next line of the cell, and then some", "1", "2")],
        buyer=buyer,
        buyer_reference="PO-2026-7781-WITH-A-LONG-SUFFIX-OF-THE-DEPARTMENT",
    )
    opened = pypdfium2.PdfDocument(render_pdf(made))
    page = opened[0]
    textpage = page.get_textpage()
    right_margin = page.get_width() - 20 / 25.4 * 72
    boxes = [textpage.get_charbox(index) for index in range(textpage.count_chars())]
    opened.close()
    assert max(right for _, _, right, _ in boxes) <= right_margin + 2  # a hyphen may hang a little


def test_markup_in_a_text_is_text() -> None:
    made = document([line(1, '#panic("x") *a* $b$ \\ <c>', "1", "2")], notes=('#read("/etc/passwd")',))
    (text,) = pages(render_pdf(made))
    assert '#panic("x") *a* $b$ \\ <c>' in text
    assert '#read("/etc/passwd")' in text


def test_names_in_other_scripts() -> None:
    made = usual(buyer=replace(BUYER, name="Ελληνική Εταιρεία / Българска фирма"))
    (text,) = pages(render_pdf(made))
    assert "Ελληνική Εταιρεία / Българска фирма" in text


def test_a_character_without_a_font_is_refused_and_named() -> None:
    with pytest.raises(ValueError, match=r"cannot be set: .*漢"):
        render_pdf(usual(buyer=replace(BUYER, name="漢字株式会社")))


def test_currencies_with_no_and_three_decimals() -> None:
    (text,) = pages(render_pdf(document([line(1, "x", "333", "1.5", currency="JPY")], currency="JPY")))
    assert "610 JPY" in text
    pdf = render_pdf(document([line(1, "x", "1", "1.2345", currency="BHD")], currency="BHD"))
    assert "1.505 BHD" in pages(pdf)[0]
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        assert not list(opened.attachments)


def test_sums_that_disagree_are_refused() -> None:
    made = usual()
    with pytest.raises(ValueError, match=r"totals\.due"):
        render_pdf(replace(made, totals=replace(made.totals, due_minor=1)))


def test_a_period_over_two_months_is_told_in_full() -> None:
    first, last = date(2026, 10, 15), date(2026, 11, 14)
    (text,) = pages(render_pdf(usual(period_start=first, period_end=last)))
    assert "15 October 2026 – 14 November 2026" in text
