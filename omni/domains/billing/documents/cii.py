"""The document for machines: UN/CEFACT Cross Industry Invoice D22B in the profile EN 16931 of Factur-X 1.0."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from lxml import etree

from omni.domains.billing.documents.contracts import (
    Allowance,
    DocumentKind,
    DocumentLine,
    InvoiceDocument,
    Party,
    TaxCategory,
    TaxTotal,
)
from omni.domains.billing.documents.references import compact
from omni.domains.billing.documents.rules import check
from omni.domains.billing.documents.wording import exemption_reason
from omni.kit.money import currency_exponent, format_minor

_RAM = "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
_RSM = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
_UDT = "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"
_QDT = "urn:un:unece:uncefact:data:standard:QualifiedDataType:100"
_PREFIXES = {"rsm": _RSM, "ram": _RAM, "udt": _UDT, "qdt": _QDT}

EN_16931 = "urn:cen.eu:en16931:2017"
_SEPA_CREDIT_TRANSFER, _CREDIT_TRANSFER, _ONLINE_PAYMENT = "58", "30", "68"
_DISCOUNT = "95"
_EXEMPTION_CODES = {
    TaxCategory.REVERSE_CHARGE: "VATEX-EU-AE",
    TaxCategory.NOT_SUBJECT: "VATEX-EU-O",
    TaxCategory.EXPORT: "VATEX-EU-G",
    TaxCategory.INTRA_COMMUNITY: "VATEX-EU-IC",
}


def expressible(currency: str) -> bool:
    """Whether EN 16931 can hold amounts of this currency: it allows two decimals (BR-DEC-…)."""
    return currency_exponent(currency) <= 2


def factur_x_xml(document: InvoiceDocument) -> bytes:
    """The document as UTF-8 XML; the same document gives the same bytes.

    Raises ValueError for a document that `check` refuses and for a currency with three decimals.
    """
    check(document)
    if not expressible(document.currency):
        raise ValueError(f"EN 16931 holds amounts of at most two decimals, which {document.currency} has not")
    root = etree.Element(f"{{{_RSM}}}CrossIndustryInvoice", nsmap=_PREFIXES)
    context = _add(root, "rsm:ExchangedDocumentContext")
    _add(_add(context, "ram:GuidelineSpecifiedDocumentContextParameter"), "ram:ID", EN_16931)
    _header(_add(root, "rsm:ExchangedDocument"), document)
    transaction = _add(root, "rsm:SupplyChainTradeTransaction")
    for line in document.lines:
        _line(_add(transaction, "ram:IncludedSupplyChainTradeLineItem"), line, document.currency)
    _agreement(_add(transaction, "ram:ApplicableHeaderTradeAgreement"), document)
    _delivery(_add(transaction, "ram:ApplicableHeaderTradeDelivery"), document)
    _settlement(_add(transaction, "ram:ApplicableHeaderTradeSettlement"), document)
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def _header(header: etree._Element, document: InvoiceDocument) -> None:
    _add(header, "ram:ID", document.number)
    _add(header, "ram:TypeCode", document.kind.value)
    _date(header, "ram:IssueDateTime", document.issue_date)
    for note in document.notes:
        _add(_add(header, "ram:IncludedNote"), "ram:Content", note)


def _line(item: etree._Element, line: DocumentLine, currency: str) -> None:
    _add(_add(item, "ram:AssociatedDocumentLineDocument"), "ram:LineID", str(line.position))
    product = _add(item, "ram:SpecifiedTradeProduct")
    _add(product, "ram:Name", line.description)
    _add_all(product, [("ram:Description", line.detail)])
    price = _add(_add(item, "ram:SpecifiedLineTradeAgreement"), "ram:NetPriceProductTradePrice")
    _add(price, "ram:ChargeAmount", _plain(line.unit_price))
    _add(price, "ram:BasisQuantity", _plain(line.base_quantity), unitCode=line.unit_code)
    delivery = _add(item, "ram:SpecifiedLineTradeDelivery")
    _add(delivery, "ram:BilledQuantity", _plain(line.quantity), unitCode=line.unit_code)
    settlement = _add(item, "ram:SpecifiedLineTradeSettlement")
    tax = _add(settlement, "ram:ApplicableTradeTax")
    _category(tax, line.tax_category, line.tax_rate)
    total = _add(settlement, "ram:SpecifiedTradeSettlementLineMonetarySummation")
    _add(total, "ram:LineTotalAmount", _amount(line.net_minor, currency))


def _agreement(agreement: etree._Element, document: InvoiceDocument) -> None:
    taxable = all(tax.category != TaxCategory.NOT_SUBJECT for tax in document.taxes)
    _add_all(agreement, [("ram:BuyerReference", document.buyer_reference)])
    _party(_add(agreement, "ram:SellerTradeParty"), document.seller, taxable, sells=True)
    _party(_add(agreement, "ram:BuyerTradeParty"), document.buyer, taxable, sells=False)


def _party(element: etree._Element, party: Party, taxable: bool, *, sells: bool) -> None:
    """The VAT id stays out of what is not subject to VAT (BR-O-2)."""
    _add(element, "ram:Name", party.name)
    if party.registration_number:
        _add(_add(element, "ram:SpecifiedLegalOrganization"), "ram:ID", party.registration_number)
    if party.email and sells:
        person = _add(element, "ram:DefinedTradeContact")
        _add(_add(person, "ram:EmailURIUniversalCommunication"), "ram:URIID", party.email)
    _address(element, party)
    if party.email:
        _add(_add(element, "ram:URIUniversalCommunication"), "ram:URIID", party.email, schemeID="EM")
    if party.tax_number and sells:
        _add(_add(element, "ram:SpecifiedTaxRegistration"), "ram:ID", party.tax_number, schemeID="FC")
    if party.vat_id and taxable:
        _add(_add(element, "ram:SpecifiedTaxRegistration"), "ram:ID", party.vat_id, schemeID="VA")


def _address(element: etree._Element, party: Party) -> None:
    lines = [("ram:PostcodeCode", party.postcode), ("ram:LineOne", party.street), ("ram:CityName", party.city)]
    _add_all(_add(element, "ram:PostalTradeAddress"), [*lines, ("ram:CountryID", party.country)])


def _delivery(delivery: etree._Element, document: InvoiceDocument) -> None:
    """When the service was complete, and where goods go for supplies within the community (BR-IC-12)."""
    if any(tax.category == TaxCategory.INTRA_COMMUNITY for tax in document.taxes):
        _address(_add(delivery, "ram:ShipToTradeParty"), document.buyer)
    _date(_add(delivery, "ram:ActualDeliverySupplyChainEvent"), "ram:OccurrenceDateTime", document.period_end)


def _settlement(settlement: etree._Element, document: InvoiceDocument) -> None:
    _add_all(settlement, [("ram:PaymentReference", compact(document.payment_reference))])
    _add(settlement, "ram:InvoiceCurrencyCode", document.currency)
    _payment_means(settlement, document)
    for tax in document.taxes:
        _tax(_add(settlement, "ram:ApplicableTradeTax"), tax, document)
    period = _add(settlement, "ram:BillingSpecifiedPeriod")
    _date(period, "ram:StartDateTime", document.period_start)
    _date(period, "ram:EndDateTime", document.period_end)
    for allowance in document.allowances:
        _allowance(_add(settlement, "ram:SpecifiedTradeAllowanceCharge"), allowance, document.currency)
    if document.due_date is not None:
        _date(_add(settlement, "ram:SpecifiedTradePaymentTerms"), "ram:DueDateDateTime", document.due_date)
    _totals(_add(settlement, "ram:SpecifiedTradeSettlementHeaderMonetarySummation"), document)
    if document.corrects is not None:
        corrected = _add(settlement, "ram:InvoiceReferencedDocument")
        _add(corrected, "ram:IssuerAssignedID", document.corrects.number)
        _date(corrected, "ram:FormattedIssueDateTime", document.corrects.issue_date, prefix="qdt")


def _payment_means(settlement: etree._Element, document: InvoiceDocument) -> None:
    seller = document.seller
    if document.kind == DocumentKind.CREDIT_NOTE or not (seller.iban or document.payment_url):
        return
    means = _add(settlement, "ram:SpecifiedTradeSettlementPaymentMeans")
    transfer = _SEPA_CREDIT_TRANSFER if document.currency == "EUR" else _CREDIT_TRANSFER
    _add(means, "ram:TypeCode", transfer if seller.iban else _ONLINE_PAYMENT)
    _add_all(means, [("ram:Information", document.payment_url)])
    if seller.iban:
        _add(_add(means, "ram:PayeePartyCreditorFinancialAccount"), "ram:IBANID", compact(seller.iban))
        if seller.bic:
            institution = _add(means, "ram:PayeeSpecifiedCreditorFinancialInstitution")
            _add(institution, "ram:BICID", compact(seller.bic))


def _tax(element: etree._Element, tax: TaxTotal, document: InvoiceDocument) -> None:
    _add(element, "ram:CalculatedAmount", _amount(tax.tax_minor, document.currency))
    _add(element, "ram:TypeCode", "VAT")
    _add_all(element, [("ram:ExemptionReason", exemption_reason(tax, document.language))])
    _add(element, "ram:BasisAmount", _amount(tax.base_minor, document.currency))
    _add(element, "ram:CategoryCode", tax.category.value)
    _add_all(element, [("ram:ExemptionReasonCode", _EXEMPTION_CODES.get(tax.category, ""))])
    if tax.category != TaxCategory.NOT_SUBJECT:
        _add(element, "ram:RateApplicablePercent", _plain(tax.rate))


def _allowance(element: etree._Element, allowance: Allowance, currency: str) -> None:
    _add(_add(element, "ram:ChargeIndicator"), "udt:Indicator", "false")
    if allowance.rate is not None and allowance.base_minor is not None:
        _add(element, "ram:CalculationPercent", _plain(allowance.rate))
        _add(element, "ram:BasisAmount", _amount(allowance.base_minor, currency))
    _add(element, "ram:ActualAmount", _amount(allowance.amount_minor, currency))
    _add(element, "ram:ReasonCode", _DISCOUNT)
    _add(element, "ram:Reason", allowance.reason)
    _category(_add(element, "ram:CategoryTradeTax"), allowance.tax_category, allowance.tax_rate)


def _totals(element: etree._Element, document: InvoiceDocument) -> None:
    totals, currency = document.totals, document.currency
    _add(element, "ram:LineTotalAmount", _amount(document.lines_minor, currency))
    if document.allowances:
        _add(element, "ram:AllowanceTotalAmount", _amount(document.allowances_minor, currency))
    _add(element, "ram:TaxBasisTotalAmount", _amount(totals.net_minor, currency))
    _add(element, "ram:TaxTotalAmount", _amount(totals.tax_minor, currency), currencyID=currency)
    _add(element, "ram:GrandTotalAmount", _amount(totals.gross_minor, currency))
    if totals.paid_minor:
        _add(element, "ram:TotalPrepaidAmount", _amount(totals.paid_minor, currency))
    _add(element, "ram:DuePayableAmount", _amount(totals.due_minor, currency))


def _category(element: etree._Element, category: TaxCategory, rate: Decimal) -> None:
    """What is not subject to tax has no rate (BR-O-5)."""
    _add(element, "ram:TypeCode", "VAT")
    _add(element, "ram:CategoryCode", category.value)
    if category != TaxCategory.NOT_SUBJECT:
        _add(element, "ram:RateApplicablePercent", _plain(rate))


def _date(parent: etree._Element, name: str, day: date, prefix: str = "udt") -> None:
    _add(_add(parent, name), f"{prefix}:DateTimeString", f"{day:%Y%m%d}", format="102")


def _amount(amount_minor: int, currency: str) -> str:
    return format_minor(amount_minor, currency).split()[0]


def _plain(number: Decimal) -> str:
    """The number with a point, without exponent and trailing zeros."""
    digits = f"{number:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _add_all(parent: etree._Element, elements: Iterable[tuple[str, str]]) -> None:
    """Those of the elements that have a text."""
    for name, text in elements:
        if text:
            _add(parent, name, text)


def _add(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    prefix, local = name.split(":")
    element = etree.SubElement(parent, f"{{{_PREFIXES[prefix]}}}{local}", attrib=attributes)
    element.text = text
    return element
