"""Usage = invoices = ledger: what `omni verify` asks of billing."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.service import issuing, topping_up
from omni.domains.billing.service.rating import lines_of
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account
from omni.domains.metering.contracts import Difference
from omni.domains.payments import facade as payments
from omni.foundation.db.sessions import ReadSession, SystemSession
from omni.kit.money import minor_to_nanos

_PAGE = 200


Span = tuple[datetime, datetime]
"""From a moment on and before another."""


async def verify_tenant(session: ReadSession, period: Span | None = None) -> list[Difference]:
    """Every invoice of the tenant against the usage that it counts, its own sums, and the books; payments against the
    books. With a `period`, usage is counted again only for invoices whose own period ends in it."""
    differences = await _verify_payments(session)
    owed: Counter[str] = Counter()
    before = None
    while page := await repository.list_newest(session, before, _PAGE):
        for invoice in page:
            counted = period is None or period[0] < invoice.period_end <= period[1]
            differences += await _verify_invoice(session, invoice, counted=counted)
            if invoice.number is not None:
                owed[invoice.currency] += _still_owed(invoice)
        before = page[-1].invoice_id
    receivable = {b.currency: b.amount_nanos for b in await ledger.balances(session) if b.account is Account.RECEIVABLE}
    for currency in sorted(owed.keys() | receivable.keys()):
        left, right = minor_to_nanos(owed[currency], currency), receivable.get(currency, 0)
        if left != right:
            what = f"open invoices in {currency}, nano-units"
            differences.append(Difference("invoices = ledger", session.tenant_id, what, left, right))
    return differences


def _still_owed(invoice: Invoice) -> int:
    """What the account of receivables holds of it."""
    return invoice.due_minor if invoice.status == "final" and invoice.kind == "invoice" else 0


async def _verify_payments(session: ReadSession) -> list[Difference]:
    """What has come in by each payment, and what the books have of it."""
    found = []
    for payment in await payments.list_payments(session):
        here = minor_to_nanos(payment.in_cash_minor, payment.currency)
        if topping_up.is_top_up(payment):
            booked = await topping_up.booked_nanos(session, payment)
        else:
            _, booked = await issuing.booked_of(session, issuing.payment_reference(payment))
        if here != booked:
            what = f"payment {payment.payment_id} in {payment.currency}, nano-units"
            found.append(Difference("payments = ledger", session.tenant_id, what, here, booked))
    return found


async def _verify_invoice(session: ReadSession, invoice: Invoice, *, counted: bool) -> list[Difference]:
    name = invoice.number or f"draft {invoice.invoice_id}"
    found = [
        ("lines = net", sum(line.net_minor for line in invoice.lines), invoice.net_minor),
        ("taxes = tax", sum(tax.tax_minor for tax in invoice.taxes), invoice.tax_minor),
        ("lines = taxed", sum(tax.base_minor for tax in invoice.taxes), invoice.net_minor),
    ]
    if invoice.number is not None:
        posted = await ledger.find(session, invoice.kind, invoice.number)
        entries = posted.transaction.entries if posted is not None else ()
        tax = -sum(entry.amount_nanos for entry in entries if entry.account is Account.TAX)
        found.append(("tax = ledger", minor_to_nanos(invoice.tax_minor, invoice.currency), tax))
        if counted and not issuing.is_correction(invoice):
            found += await _rated_again(session, invoice)
    return [
        Difference(f"invoice {check}", session.tenant_id, f"{name}, in {invoice.currency}", left, right)
        for check, left, right in found
        if left != right
    ]


async def _rated_again(session: ReadSession, invoice: Invoice) -> list[tuple[str, int, int]]:
    """What usage and prices come to now, and what was issued in all: this invoice and its corrections."""
    issued = [invoice, *filter(issuing.is_correction, await repository.corrections_of(session, invoice.invoice_id))]
    if any(each.cause.startswith(issuing.VOID) for each in issued):
        return []
    parts = await lines_of(session, invoice.basis, invoice.currency, invoice.mode)
    assert invoice.buyer is not None
    should_be = await issuing.taxed(session, invoice, parts, invoice.issued_at or invoice.period_end)
    return [
        (f"usage × prices = line {line.card}", 0, line.net_minor)
        for line in issuing.corrections(issued, should_be.lines)
    ]


async def verify_numbers(session: SystemSession) -> list[Difference]:
    """That no number of a series is missing."""
    return [
        Difference(
            "invoice numbers have no gap", None, f"{row['entity_code']} {row['series']}", row["last"], row["given"]
        )
        for row in await repository.numbers(session)
        if row["last"] != row["given"]
    ]
