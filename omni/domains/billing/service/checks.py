"""Usage = invoices = ledger: what `omni verify` asks of billing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from omni.domains.billing.contracts import Invoice, Subscription
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.repository import subscriptions
from omni.domains.billing.service import issuing, topping_up
from omni.domains.billing.service.rating import lines_of
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account
from omni.domains.metering.contracts import Difference
from omni.domains.payments import facade as payments
from omni.foundation.db.sessions import ReadSession, SystemSession
from omni.kit.money import minor_to_nanos

_PAGE = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Span = tuple[datetime, datetime]
"""From a moment on and before another."""


async def verify_tenant(session: ReadSession, period: Span | None = None) -> list[Difference]:
    """Every invoice of the tenant against the usage that it counts, its own sums, and the books; payments against the
    books; subscriptions against what they were invoiced for. With a `period`, usage is counted again only for invoices
    whose own period ends in it."""
    differences = await _verify_payments(session)
    owed: Counter[str] = Counter()
    invoices = await all_invoices(session)
    for invoice in invoices:
        counted = period is None or period[0] < invoice.period_end <= period[1]
        differences += await _verify_invoice(session, invoice, counted=counted)
        if invoice.number is not None:
            owed[invoice.currency] += _still_owed(invoice)
    for subscription in await subscriptions.list_all(session):
        differences += _verify_spans(session, subscription, invoices)
    receivable = {b.currency: b.amount_nanos for b in await ledger.balances(session) if b.account is Account.RECEIVABLE}
    for currency in sorted(owed.keys() | receivable.keys()):
        left, right = minor_to_nanos(owed[currency], currency), receivable.get(currency, 0)
        if left != right:
            what = f"open invoices in {currency}, nano-units"
            differences.append(Difference("invoices = ledger", session.tenant_id, what, left, right))
    return differences


async def all_invoices(session: ReadSession) -> list[Invoice]:
    """Every invoice and credit note of the tenant, newest first."""
    found: list[Invoice] = []
    while page := await repository.list_newest(session, found[-1].invoice_id if found else None, _PAGE):
        found += page
    return found


async def posted_nanos(session: ReadSession, invoice: Invoice) -> tuple[int, int]:
    """What the books have of an invoice with a number: without tax (revenue, earned and deferred), and the tax."""
    assert invoice.number is not None
    posted = await ledger.find(session, invoice.kind, invoice.number)
    net = tax = 0
    for entry in posted.transaction.entries if posted is not None else ():
        if entry.account in (Account.REVENUE, Account.DEFERRED):
            net -= entry.amount_nanos
        elif entry.account is Account.TAX:
            tax -= entry.amount_nanos
    return net, tax


def _verify_spans(session: ReadSession, subscription: Subscription, invoices: Sequence[Invoice]) -> list[Difference]:
    """That the spans of its invoices follow each other from its beginning to where it is billed, so that no usage is
    left out, or in two of them: where one should begin stands on the left, where the next one begins on the right."""
    spans = sorted(
        (invoice.period_start, invoice.period_end)
        for invoice in invoices
        if invoice.subscription_id == subscription.subscription_id and not issuing.is_correction(invoice)
    )
    breaks, until = [], subscription.started_at
    for start, end in spans:
        if start != until:
            breaks.append((until, start))
        until = max(until, end)
    if until < subscription.billed_until:
        breaks.append((until, subscription.billed_until))
    what = f"subscription {subscription.subscription_id}, Unix microseconds"
    check = "invoiced spans follow each other"
    return [
        Difference(check, session.tenant_id, what, *((moment - _EPOCH) // _MICROSECOND for moment in each))
        for each in breaks
    ]


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
    found = [
        ("lines = net", sum(line.net_minor for line in invoice.lines), invoice.net_minor),
        ("taxes = tax", sum(tax.tax_minor for tax in invoice.taxes), invoice.tax_minor),
        ("lines = taxed", sum(tax.base_minor for tax in invoice.taxes), invoice.net_minor),
    ]
    if invoice.number is not None:
        net, tax = await posted_nanos(session, invoice)
        found.append(("net = ledger", minor_to_nanos(invoice.net_minor, invoice.currency), net))
        found.append(("tax = ledger", minor_to_nanos(invoice.tax_minor, invoice.currency), tax))
    issued = invoice.number is not None or issuing.came_to_nothing(invoice)
    if counted and issued and not issuing.is_correction(invoice):
        found += await _rated_again(session, invoice)
    what = f"{issuing.name_of(invoice)}, in {invoice.currency}"
    return [
        Difference(f"invoice {check}", session.tenant_id, what, left, right)
        for check, left, right in found
        if left != right
    ]


async def _rated_again(session: ReadSession, invoice: Invoice) -> list[tuple[str, int, int]]:
    """What usage and prices come to now, and what was issued in all: this invoice and its corrections."""
    issued = [invoice, *filter(issuing.restates, await repository.corrections_of(session, invoice.invoice_id))]
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
