"""Invoices: drafted once for each cause, rated, taxed, numbered without gaps, posted, corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import cast
from uuid import UUID

from omni.domains.billing.contracts import Basis, BillingProfile, Invoice, LegalEntity, Line, RatedPart, Subscription
from omni.domains.billing.repository import invoices as repository
from omni.domains.billing.repository import parties
from omni.domains.billing.rules.lifecycle import check_invoice_step
from omni.domains.billing.rules.postings import credit_note_entries, earned_entries, invoice_entries
from omni.domains.billing.rules.records import to_decimal
from omni.domains.billing.rules.taxing import summed, with_taxes
from omni.domains.billing.service import coupons
from omni.domains.billing.service.profiles import profile_of, seller_of
from omni.domains.billing.service.rating import lines_of
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account, Transaction
from omni.domains.payments.contracts import Payment
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import (
    STANDARD,
    TaxableLine,
    TaxBuyer,
    TaxCategory,
    TaxSeller,
    TaxTreatment,
)
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import uuid7
from omni.kit.money import minor_to_nanos

SEND_INVOICE = "billing.send_invoice"
COLLECT = "billing.collect"
PAYMENT = "payment"
"""The kind of the transactions that book what comes in."""
RERATE, VOID, SLA = "rerate:", "void:", "sla:"
"""How the causes of corrections begin."""


async def draft(
    session: WriteSession, subscription: Subscription, cause: str, basis: Basis, span: tuple[datetime, datetime]
) -> Invoice | None:
    """A draft for what a basis comes to now; None when there is one for the cause."""
    profile = await profile_of(session)
    invoice = Invoice(
        uuid7(), cause, "invoice", "draft", profile.mode, profile.entity_code, None, subscription.currency,
        subscription.subscription_id, None, *span, basis,
    )  # fmt: skip
    if not await repository.insert_draft(session, invoice):
        return None
    invoice = await rated(session, invoice, profile, span[1])
    await repository.save(session, invoice)
    await repository.replace_lines(session, invoice)
    return invoice


async def rated(session: ReadSession, invoice: Invoice, profile: BillingProfile, at: datetime) -> Invoice:
    """The invoice with the coupons that hold for it now, and the lines, taxes and sums that its basis comes to."""
    invoice = replace(invoice, basis=await coupons.holding(session, invoice))
    parts = await lines_of(session, invoice.basis, invoice.currency, invoice.mode)
    seller = await seller_of(session, invoice.entity_code)
    return await taxed(session, replace(invoice, seller=seller, buyer=profile), parts, at)


async def taxed(session: ReadSession, invoice: Invoice, parts: Sequence[RatedPart], at: datetime) -> Invoice:
    """The invoice with these lines: each treated alike, tax computed once for each rate."""
    assert invoice.seller is not None
    assert invoice.buyer is not None
    return with_taxes(invoice, parts, await _treatments(session, invoice, at))


async def _treatments(session: ReadSession, invoice: Invoice, at: datetime) -> Callable[[str], TaxTreatment]:
    """How each product is taxed that is sold to the invoice's buyer."""
    assert invoice.seller is not None
    rates, seller, buyer = await pricing.tax_rates(session), _tax_seller(invoice.seller), _tax_buyer(invoice)
    codes = {product.code: product.tax_code for product in await pricing.list_products(session)}
    known: dict[str, TaxTreatment] = {}

    def treat(product: str) -> TaxTreatment:
        code = codes.get(product, STANDARD)
        if code not in known:
            known[code] = pricing.tax_treatment(seller, buyer, at.date(), rates, code)
        return known[code]

    return treat


async def finalise(session: WriteSession, invoice_id: UUID, now: datetime) -> Invoice:
    """Makes a draft final: rated anew, numbered, posted; once, however many ask.

    A draft that comes to nothing becomes void without a number; its lines stay, as the record of what was used. One
    that comes to less becomes a credit note. Raises NotFound `invoice_not_found`, NotConfigured `seller_missing`.
    """
    invoice = await find(session, invoice_id, lock=True)
    if invoice.status != "draft":
        return invoice
    profile = await profile_of(session)
    if not is_correction(invoice):
        await coupons.lock(session)
        invoice = await rated(session, invoice, profile, now)
    if invoice.gross_minor == 0 and not any(line.net_minor for line in invoice.lines):
        invoice = replace(invoice, status="void")
        await repository.replace_lines(session, invoice)
        await repository.save(session, invoice)
        await _earn(session, invoice, now)
        return invoice
    kind = invoice.kind if invoice.gross_minor >= 0 else "credit_note"
    invoice = replace(invoice, kind=kind, status="final", issued_at=now)
    if kind == "credit_note" and invoice.corrects_id is None:
        invoice = replace(invoice, corrects_id=await repository.last_final(session, invoice))
    invoice = replace(invoice, due_at=now + timedelta(days=profile.payment_days if kind == "invoice" else 0))
    await repository.replace_lines(session, invoice)
    invoice = replace(invoice, number=await _number(session, invoice, now))
    await repository.save(session, invoice)
    if not is_correction(invoice):
        await coupons.count(session, invoice)
    await _post(session, invoice, now)
    invoice = await _take_from_wallet(session, invoice, now)
    await enqueue(session, SEND_INVOICE, tenant_id=session.tenant_id, invoice_id=invoice.invoice_id)
    if invoice.due_minor:
        await enqueue(session, COLLECT, tenant_id=session.tenant_id, invoice_id=invoice.invoice_id)
    return invoice


async def _number(session: WriteSession, invoice: Invoice, now: datetime) -> str:
    """Taken last, because the series stays locked until the end of the transaction."""
    assert invoice.seller is not None
    kind = "" if invoice.kind == "invoice" else "CN-"
    series = f"{'TEST-' if invoice.mode == 'test' else ''}{invoice.seller.invoice_prefix}-{kind}{now.year}"
    return f"{series}-{await parties.next_number(session, invoice.entity_code, series):05d}"


async def _earn(session: WriteSession, invoice: Invoice, now: datetime) -> None:
    """A period without anything to invoice earns the fees that were deferred for it."""
    found = ledger.entries(*earned_entries(invoice, -await _balance(session, Account.DEFERRED, invoice.currency)))
    if found:
        await ledger.post(session, Transaction(invoice.currency, "earned", str(invoice.invoice_id), now, found))


async def _balance(session: ReadSession, account: Account, currency: str) -> int:
    return sum(
        each.amount_nanos
        for each in await ledger.balances(session)
        if (each.account, each.currency) == (account, currency)
    )


async def _post(session: WriteSession, invoice: Invoice, now: datetime) -> None:
    assert invoice.number is not None
    deferred = -await _balance(session, Account.DEFERRED, invoice.currency)
    entries = invoice_entries(invoice, deferred)
    if invoice.gross_minor < 0:
        entries += credit_note_entries(invoice, await _credited(session, invoice))
    found = ledger.entries(*entries)
    if found:
        await ledger.post(session, Transaction(invoice.currency, invoice.kind, invoice.number, now, found))


async def _credited(session: WriteSession, note: Invoice) -> int:
    """Takes a credit note off what is still due of the invoice that it corrects; how much of it that was."""
    if note.corrects_id is None or not is_correction(note):
        return 0  # what was charged stays so: the note gives back what is not used after all
    corrected = await find(session, note.corrects_id, lock=True)
    taken = min(corrected.due_minor, -note.gross_minor)
    if taken:
        await _settled(session, replace(corrected, credited_minor=corrected.credited_minor + taken))
    return taken


async def _take_from_wallet(session: WriteSession, invoice: Invoice, now: datetime) -> Invoice:
    """Pays an invoice from what was paid in advance, as far as that goes."""
    there = [
        -each.amount_nanos - each.held_nanos
        for each in await ledger.balances(session)
        if each.account is Account.WALLET and each.currency == invoice.currency
    ]
    one = minor_to_nanos(1, invoice.currency)
    taken = min(invoice.due_minor, max(0, there[0]) // one if there else 0)
    if not taken:
        return await _settled(session, invoice)
    nanos = taken * one
    entries = ledger.entries((Account.WALLET, nanos), (Account.RECEIVABLE, -nanos))
    assert invoice.number is not None
    await ledger.post(session, Transaction(invoice.currency, "wallet", invoice.number, now, entries))
    return await _settled(session, replace(invoice, paid_minor=invoice.paid_minor + taken))


async def _settled(session: WriteSession, invoice: Invoice) -> Invoice:
    """Saves an invoice; it is paid when nothing of it is due."""
    if invoice.status in ("final", "uncollectible") and invoice.due_minor == 0:
        invoice = replace(invoice, status="paid")
    await repository.save(session, invoice)
    return invoice


async def record_payment(
    session: WriteSession, invoice_id: UUID, total_minor: int, reference: str, now: datetime
) -> Invoice:
    """Takes note of what has come in for an invoice in all by one payment, less what went back.

    The difference to what is booked of the payment already is booked: more pays the invoice, and what is too much goes
    to the wallet; less is taken from the wallet, where a credit note has put it. Raises NotFound `invoice_not_found`,
    Conflict `invoice_state`.
    """
    invoice = await find(session, invoice_id, lock=True)
    times, booked_nanos = await booked_of(session, reference)
    nanos = minor_to_nanos(total_minor, invoice.currency) - booked_nanos
    if not nanos:
        return invoice
    if invoice.status not in ("final", "paid", "uncollectible"):
        raise Conflict("invoice_state", f"The invoice is {invoice.status}: it cannot be paid.")
    taken = max(0, min(nanos // minor_to_nanos(1, invoice.currency), invoice.due_minor))
    taken_nanos = minor_to_nanos(taken, invoice.currency)
    owed = Account.RECEIVABLE if invoice.status != "uncollectible" else Account.BAD_DEBT
    entries = ledger.entries((Account.CASH, nanos), (owed, -taken_nanos), (Account.WALLET, taken_nanos - nanos))
    await ledger.post(session, Transaction(invoice.currency, PAYMENT, f"{reference}#{times + 1}", now, entries))
    return await _settled(session, replace(invoice, paid_minor=invoice.paid_minor + taken))


def payment_reference(payment: Payment) -> str:
    """What a payment by a provider is booked under."""
    return f"{payment.provider}:{payment.payment_id}"


async def booked_of(session: ReadSession, reference: str) -> tuple[int, int]:
    """How many transactions book what has come in under a reference, and how much of it, nano-units."""
    return await ledger.booked(session, PAYMENT, f"{reference}#", Account.CASH)


async def mark_uncollectible(session: WriteSession, invoice_id: UUID, now: datetime) -> Invoice:
    """Gives up what is due. Raises NotFound `invoice_not_found`, Conflict `invoice_state`."""
    invoice = await find(session, invoice_id, lock=True)
    check_invoice_step(invoice.status, "uncollectible")
    assert invoice.number is not None
    nanos = minor_to_nanos(invoice.due_minor, invoice.currency)
    entries = ledger.entries((Account.BAD_DEBT, nanos), (Account.RECEIVABLE, -nanos))
    await ledger.post(session, Transaction(invoice.currency, "uncollectible", invoice.number, now, entries))
    invoice = replace(invoice, status="uncollectible")
    await repository.save(session, invoice)
    return invoice


async def void(session: WriteSession, invoice_id: UUID, now: datetime) -> Invoice:
    """Takes an invoice back: a draft without a trace, a final one by a credit note of all of it.

    Raises NotFound `invoice_not_found`, Conflict `invoice_state` once something of it was paid.
    """
    invoice = await find(session, invoice_id, lock=True)
    check_invoice_step(invoice.status, "void")
    if invoice.status == "final":
        if invoice.paid_minor:
            raise Conflict("invoice_state", "A part of the invoice is paid: correct it by a credit note.")
        issued = [invoice, *filter(is_correction, await repository.corrections_of(session, invoice_id))]
        await correct(session, invoice, corrections(issued, ()), f"{VOID}{invoice_id}", now)
        invoice = await find(session, invoice_id, lock=True)
    invoice = replace(invoice, status="void")
    await repository.save(session, invoice)
    return invoice


async def rerate(session: WriteSession, invoice_id: UUID, now: datetime) -> Invoice | None:
    """Rates an invoice that is final, or came to nothing, again and issues the difference: a credit note, or an invoice
    of what was too little. A difference that comes to nothing is void, and the record of the quantities.

    None when nothing differs. Raises NotFound `invoice_not_found`, Conflict `invoice_state`.
    """
    invoice = await find(session, invoice_id, lock=True)
    issued_once = invoice.status not in ("draft", "void") or came_to_nothing(invoice)
    if not issued_once or is_correction(invoice):
        raise Conflict("invoice_state", "Only a final invoice that corrects no other is rated again.")
    issued = [invoice, *filter(restates, await repository.corrections_of(session, invoice_id))]
    parts = await lines_of(session, invoice.basis, invoice.currency, invoice.mode)
    assert invoice.buyer is not None
    should_be = await taxed(session, invoice, parts, invoice.issued_at or now)
    lines = corrections(issued, should_be.lines)
    if not lines:
        return None
    invoice = replace(invoice, taxes=(*invoice.taxes, *should_be.taxes))  # the reasons for what was not sold before
    return await correct(session, invoice, lines, f"{RERATE}{invoice_id}:{len(issued)}", now)


def corrections(issued: Sequence[Invoice], should_be: Sequence[Line]) -> list[Line]:
    """A line, without tax, of what each differs by, in amount or quantity, from what was issued in all."""
    billed, wanted = _by_key(line for invoice in issued for line in invoice.lines), _by_key(should_be)
    found = []
    for key in dict.fromkeys((*billed, *wanted)):
        before, now = billed.get(key, []), wanted.get(key, [])
        net = sum(line.net_minor for line in now) - sum(line.net_minor for line in before)
        events = sum(line.events for line in now) - sum(line.events for line in before)
        quantity = _sum(line.quantity for line in now) - _sum(line.quantity for line in before)
        if net or events or to_decimal(quantity):
            found.append(
                replace(
                    (now or before)[0],
                    kind="correction",
                    quantity=quantity,
                    events=events,
                    amount=_sum(line.amount for line in now) - _sum(line.amount for line in before),
                    net_minor=net,
                    steps=[],
                )
            )
    return found


def _by_key(lines: Iterable[Line]) -> dict[tuple[object, ...], list[Line]]:
    found: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        found.setdefault(line.key, []).append(line)
    return found


def _sum(parts: Iterable[Fraction]) -> Fraction:
    return sum(parts, Fraction(0))


async def correct(session: WriteSession, invoice: Invoice, lines: Sequence[Line], cause: str, now: datetime) -> Invoice:
    """A final document of lines whose tax is known; `invoice`, which it corrects, has the reasons for taxes."""
    rates: dict[tuple[str, Decimal], int] = {}
    for line in lines:
        rates[line.tax_category, line.tax_rate] = rates.get((line.tax_category, line.tax_rate), 0) + line.net_minor
    reasons = {(each.category, each.rate): each.reason for each in invoice.taxes}
    totals = {}
    for (category, rate), base in rates.items():
        treatment = TaxTreatment(cast(TaxCategory, category), rate, reason=reasons.get((category, rate), ""))
        (subtotal,) = pricing.compute_taxes([TaxableLine(base, treatment)], "exclusive").subtotals
        totals[treatment] = (base, subtotal.tax_minor)
    correction = replace(
        invoice, invoice_id=uuid7(), cause=cause, kind="invoice", status="draft", number=None, issued_at=None,
        due_at=None, corrects_id=invoice.invoice_id, basis=Basis(), paid_minor=0, credited_minor=0,
    )  # fmt: skip
    correction = summed(correction, tuple(lines), totals)
    await repository.insert_draft(session, correction)
    await repository.replace_lines(session, correction)
    return await finalise(session, correction.invoice_id, now)


def came_to_nothing(invoice: Invoice) -> bool:
    """Whether it was due and there was nothing to charge, so that it is void without a number."""
    return invoice.status == "void" and invoice.number is None and not any(line.net_minor for line in invoice.lines)


def name_of(invoice: Invoice) -> str:
    """What tells it from the tenant's other invoices."""
    return invoice.number or f"{invoice.status} {invoice.invoice_id}"


def is_correction(invoice: Invoice) -> bool:
    """Whether it corrects another, and is itself not rated."""
    return invoice.cause.startswith((RERATE, VOID, SLA))


def restates(invoice: Invoice) -> bool:
    """Whether it says what another should have been. A credit for bad service leaves that as it is."""
    return invoice.cause.startswith((RERATE, VOID))


async def find(session: ReadSession, invoice_id: UUID, *, lock: bool = False) -> Invoice:
    """Raises NotFound `invoice_not_found`."""
    found = await repository.find(session, invoice_id, lock=lock)
    if found is None:
        raise NotFound("invoice_not_found", "There is no such invoice in this tenant.")
    return found


def _tax_seller(seller: LegalEntity) -> TaxSeller:
    return TaxSeller(seller.country, vat_registered=seller.vat_id is not None)


def _tax_buyer(invoice: Invoice) -> TaxBuyer:
    buyer, seller = invoice.buyer, invoice.seller
    assert buyer is not None
    assert seller is not None
    country = buyer.country or seller.country
    return TaxBuyer(country, buyer.vat_id, "Exempt from VAT." if buyer.tax_exempt else None)
