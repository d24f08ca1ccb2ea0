"""The XML: valid by the XSD and the Schematron of Factur-X 1.09, which hold the rules of EN 16931, and recomputed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import facturx
import pytest
import saxonche
from lxml import etree

from omni.domains.billing.documents.cii import factur_x_xml
from omni.domains.billing.documents.contracts import Allowance, InvoiceDocument, TaxCategory
from tests.domains.billing.documents.examples import (
    GERMAN_BUYER,
    SELLER,
    credit_note,
    document,
    line,
    reverse_charge,
    usual,
)

SCHEMAS = Path(facturx.__file__).parent / "xsd_and_schematron" / "facturx-en16931"
SVRL = "{http://purl.oclc.org/dsdl/svrl}"
RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"


def of_category(category: TaxCategory) -> InvoiceDocument:
    reasons = {TaxCategory.EXEMPT: "Education, Article 132 of Council Directive 2006/112/EC"}
    lines = [line(1, "Something", "3", "10.10", rate="0", category=category)]
    return document(lines, reasons=reasons, buyer=GERMAN_BUYER)


DOCUMENTS = {
    "usual": usual(),
    "slovenian": usual(language="sl", payment_reference="SI00 2026-000123"),
    "part-paid": usual(paid_minor=1000),
    "credit note": credit_note(),
    "reverse charge": reverse_charge(),
    "yen": document([line(1, "Tokens", "333", "1.5", currency="JPY")], currency="JPY"),
    "returned": document([line(1, "Seats", "5", "10"), line(2, "Seats given back", "-2", "9.999")]),
    "without an account": usual(seller=of_category(TaxCategory.EXPORT).buyer),
    "a seller without a VAT id": document(
        [line(1, "Consulting", "1", "10", rate="0", category=TaxCategory.EXEMPT)],
        reasons={TaxCategory.EXEMPT: "DDV ni obračunan na podlagi 1. odstavka 94. člena ZDDV-1."},
        seller=replace(SELLER, vat_id="", tax_number="15012557"),
        language="sl",
    ),
    "two discounts": document(
        [line(1, "Plan", "1", "100"), line(2, "Books", "1", "50", rate="9.5")],
        allowances=[
            Allowance("A", 1000, Decimal(22), TaxCategory.STANDARD),
            Allowance("B", 250, Decimal("9.5"), TaxCategory.STANDARD, Decimal(5), 5000),
        ],
    ),
} | {f"category {category}": of_category(category) for category in TaxCategory if category != "S"}


@pytest.fixture(scope="module")
def failures() -> Iterator[Callable[[bytes], list[str]]]:
    """What the Schematron says of an XML, warnings too."""
    with saxonche.PySaxonProcessor(license=False) as processor:
        rules = processor.new_xslt30_processor().compile_stylesheet(
            stylesheet_file=str(SCHEMAS / "FACTUR-X_EN16931.xslt")
        )

        def run(xml: bytes) -> list[str]:
            report = rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode()))
            found = etree.fromstring(report.encode())
            assert len(found.findall(f"{SVRL}fired-rule")) > 50, "the rules did not run"
            return [" ".join("".join(map(str, each.itertext())).split()) for each in found.iter(f"{SVRL}failed-assert")]

        yield run


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(SCHEMAS / "Factur-X_EN16931.xsd")))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schema_and_rules_pass(name: str, schema: etree.XMLSchema, failures: Callable[[bytes], list[str]]) -> None:
    xml = factur_x_xml(DOCUMENTS[name])
    schema.assertValid(etree.fromstring(xml))
    assert failures(xml) == []


@pytest.mark.parametrize(
    ("found", "planted", "rule"),
    [
        (b"<ram:LineTotalAmount>57.49<", b"<ram:LineTotalAmount>57.50<", "BR-CO-10"),
        (b"<ram:AllowanceTotalAmount>4.90<", b"<ram:AllowanceTotalAmount>4.91<", "BR-CO-11"),
        (b"<ram:TaxBasisTotalAmount>52.59<", b"<ram:TaxBasisTotalAmount>52.60<", "BR-CO-13"),
        (b'currencyID="EUR">11.18<', b'currencyID="EUR">11.19<', "BR-CO-14"),
        (b"<ram:GrandTotalAmount>63.77<", b"<ram:GrandTotalAmount>63.78<", "BR-CO-15"),
        (b"<ram:DuePayableAmount>63.77<", b"<ram:DuePayableAmount>63.76<", "BR-CO-16"),
        (b"<ram:CalculatedAmount>10.88<", b"<ram:CalculatedAmount>19.88<", "BR-CO-17"),
    ],
)
def test_the_rules_see_a_planted_cent(
    found: bytes, planted: bytes, rule: str, failures: Callable[[bytes], list[str]]
) -> None:
    xml = factur_x_xml(usual())
    assert xml.count(found) == 1
    assert any(rule in failure for failure in failures(xml.replace(found, planted)))


def texts(element: etree._Element, path: str) -> list[str]:
    return [found.text or "" for found in element.iterfind("/".join(RAM + part for part in path.split("/")))]


def number(element: etree._Element, path: str) -> Decimal:
    (found,) = texts(element, path)
    return Decimal(found)


def rounded(value: Decimal, currency: str) -> Decimal:
    return value.quantize(Decimal(1) if currency == "JPY" else Decimal("0.01"), ROUND_HALF_EVEN)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_arithmetic_from_the_xml_alone(name: str) -> None:
    """BR-CO-10 to BR-CO-17 and BR-S-8, from nothing but what stands in the XML."""
    root = etree.fromstring(factur_x_xml(DOCUMENTS[name]))
    (settlement,) = root.iter(f"{RAM}ApplicableHeaderTradeSettlement")
    (currency,) = texts(settlement, "InvoiceCurrencyCode")
    bases: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    nets = Decimal(0)
    for item in root.iter(f"{RAM}IncludedSupplyChainTradeLineItem"):
        price = number(item, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice/ChargeAmount")
        base = number(item, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice/BasisQuantity")
        quantity = number(item, "SpecifiedLineTradeDelivery/BilledQuantity")
        total = "SpecifiedLineTradeSettlement/SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"
        net = number(item, total)
        assert rounded(quantity * price / base, currency) == net
        tax = "SpecifiedLineTradeSettlement/ApplicableTradeTax"
        bases[(*texts(item, f"{tax}/CategoryCode"), *texts(item, f"{tax}/RateApplicablePercent"))] += net
        nets += net
    allowances = Decimal(0)
    for allowance in settlement.iterfind(f"{RAM}SpecifiedTradeAllowanceCharge"):
        amount = number(allowance, "ActualAmount")
        of = "CategoryTradeTax"
        bases[(*texts(allowance, f"{of}/CategoryCode"), *texts(allowance, f"{of}/RateApplicablePercent"))] -= amount
        allowances += amount
    taxes = Decimal(0)
    for tax_total in settlement.iterfind(f"{RAM}ApplicableTradeTax"):
        key = (*texts(tax_total, "CategoryCode"), *texts(tax_total, "RateApplicablePercent"))
        base = number(tax_total, "BasisAmount")
        assert bases.pop(key) == base
        rate = Decimal(key[1]) if len(key) == 2 else Decimal(0)
        assert rounded(base * rate / 100, currency) == number(tax_total, "CalculatedAmount")
        taxes += number(tax_total, "CalculatedAmount")
    assert not bases
    sums = "SpecifiedTradeSettlementHeaderMonetarySummation"
    assert number(settlement, f"{sums}/LineTotalAmount") == nets
    assert sum(map(Decimal, texts(settlement, f"{sums}/AllowanceTotalAmount"))) == allowances
    assert number(settlement, f"{sums}/TaxBasisTotalAmount") == nets - allowances
    assert number(settlement, f"{sums}/TaxTotalAmount") == taxes
    gross = number(settlement, f"{sums}/GrandTotalAmount")
    assert gross == nets - allowances + taxes
    paid = sum(map(Decimal, texts(settlement, f"{sums}/TotalPrepaidAmount")))
    assert number(settlement, f"{sums}/DuePayableAmount") == gross - paid


def test_what_is_not_subject_to_tax_has_neither_rate_nor_vat_ids() -> None:
    root = etree.fromstring(factur_x_xml(of_category(TaxCategory.NOT_SUBJECT)))
    assert not list(root.iter(f"{RAM}RateApplicablePercent"))
    assert not list(root.iter(f"{RAM}SpecifiedTaxRegistration"))


def test_a_credit_note_names_the_invoice_and_asks_for_no_payment() -> None:
    root = etree.fromstring(factur_x_xml(credit_note()))
    (corrected,) = root.iter(f"{RAM}InvoiceReferencedDocument")
    assert texts(corrected, "IssuerAssignedID") == ["2026-000098"]
    assert next(root.iter(f"{RAM}TypeCode")).text == "381"
    assert not list(root.iter(f"{RAM}SpecifiedTradeSettlementPaymentMeans"))


def test_text_cannot_become_markup() -> None:
    made = document([line(1, "<b>&amp;</b>", "1", "1", detail="]]>")], notes=("a < b & c",))
    root = etree.fromstring(factur_x_xml(made))
    assert texts(next(root.iter(f"{RAM}SpecifiedTradeProduct")), "Name") == ["<b>&amp;</b>"]


def test_three_decimals_are_refused() -> None:
    made = document([line(1, "x", "1", "1.234", currency="BHD")], currency="BHD")
    with pytest.raises(ValueError, match="at most two decimals, which BHD has not"):
        factur_x_xml(made)


def test_sums_that_disagree_are_refused() -> None:
    made = usual(paid_minor=1)
    with pytest.raises(ValueError, match="is empty"):
        factur_x_xml(usual(number=""))
    assert b"<ram:TotalPrepaidAmount>0.01<" in factur_x_xml(made)
