"""All live usage of a tenant beside what bills it: what `omni billing verify` asks of billing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from uuid import UUID

from omni.domains.billing.contracts import (
    NOTHING,
    BookedInvoices,
    Counted,
    Invoice,
    Line,
    MeterAccount,
    SaleState,
    Subscription,
    UsageAccount,
    UsagePart,
)
from omni.domains.billing.repository import parties, subscriptions
from omni.domains.billing.rules.lifecycle import RUNNING
from omni.domains.billing.rules.lines import while_valid
from omni.domains.billing.rules.usage_account import LineKey, Sale, add, by_key, differing, is_true_up, less, unsold
from omni.domains.billing.service.checks import all_invoices, posted_nanos
from omni.domains.billing.service.issuing import came_to_nothing, is_correction, name_of, restates
from omni.domains.billing.service.previewing import upcoming_invoice
from omni.domains.billing.service.rating import lines_of, used_lines
from omni.domains.billing.service.terms import TermsBook
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Difference, Measured, Meter
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import ReadSession

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""All usage lies between these."""
_SUMS = ("count", "sum")


@dataclass(frozen=True, slots=True)
class _Bill:
    """An invoice with its corrections, a draft, or the upcoming invoice: which usage it is for, and its lines."""

    name: str
    currency: str
    parts: tuple[UsagePart, ...]
    invoices: tuple[Line, ...] = ()
    upcoming: tuple[Line, ...] = ()
    taken_back: bool = False


@dataclass(slots=True)
class _Account:
    """What was found so far."""

    tenant_id: UUID
    meters: dict[tuple[str, SaleState], MeterAccount] = field(default_factory=dict)
    sales: dict[str, list[Sale]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    seen: set[UsagePart] = field(default_factory=set)
    """Usage that was billed twice was used once."""

    def add(self, new: MeterAccount) -> None:
        key = new.meter, new.state
        before = self.meters.get(key, MeterAccount(*key, NOTHING, NOTHING))
        self.meters[key] = MeterAccount(
            *key, add(before.events, new.events), add(before.rollups, new.rollups),
            add(before.invoices, new.invoices), add(before.upcoming, new.upcoming),
        )  # fmt: skip

    def compare(self, check: str, what: str, left: Counted, right: Counted) -> None:
        found = differing(left, right)
        if found is not None:
            unit, *sides = found
            self.differences.append(Difference(check, self.tenant_id, f"{what}, {unit}", *sides))


async def usage_account(session: ReadSession, now: datetime) -> UsageAccount:
    """Live usage of every meter: its raw events, their rollups, and the lines of invoices that count them; and what the
    books have of these invoices. Usage that no price sells is told apart.

    Late usage of an invoice that is final is a difference until the invoice is rated again.
    """
    invoices = [invoice for invoice in await all_invoices(session) if invoice.mode == "live"]
    account = _Account(session.tenant_id)
    books: dict[str, TermsBook] = {}
    bills, due_later = await _open_bills(session, now)
    bills += [await _bill_of(session, each, invoices) for each in invoices if not is_correction(each)]
    for bill in bills:
        book = books.setdefault(bill.currency, TermsBook(session, bill.currency))
        await _add_bill(session, account, bill, book)
    await _add_unsold(session, account, due_later)
    meters = tuple(account.meters[key] for key in sorted(account.meters))
    return UsageAccount(meters, await _booked(session, invoices), tuple(account.differences))


async def _open_bills(session: ReadSession, now: datetime) -> tuple[list[_Bill], datetime | None]:
    """The upcoming invoice, and from when on usage is for invoices that come after it; None when none will come."""
    profile = await parties.find_profile(session)
    if profile is not None and profile.mode != "live":
        return [], None
    current = await subscriptions.current(session)
    if current is None:
        if await subscriptions.list_all(session):
            return [], None
        return [], (await tenants.get_tenant(session)).created_at  # where the first billing run begins
    upcoming = (await upcoming_invoice(session, now)).invoice
    bill = _Bill("the upcoming invoice", upcoming.currency, upcoming.basis.usage, upcoming=upcoming.lines)
    return [bill], _due_later(current, upcoming)


def _due_later(current: Subscription, upcoming: Invoice) -> datetime | None:
    if current.status in RUNNING:
        return upcoming.period_end
    return {"trialing": current.period_end, "suspended": current.billed_until}.get(current.status)


async def _bill_of(session: ReadSession, invoice: Invoice, among: Sequence[Invoice]) -> _Bill:
    """A final invoice with its corrections; a draft as it comes to now, because that is how it becomes final."""
    made = name_of(invoice), invoice.currency, invoice.basis.usage
    if invoice.status == "draft":
        parts = await lines_of(session, invoice.basis, invoice.currency, invoice.mode)
        return _Bill(*made, upcoming=tuple(line for line, _ in parts))
    if invoice.status == "void" and not came_to_nothing(invoice):
        return _Bill(*made, taken_back=True)
    corrections = [each for each in among if each.corrects_id == invoice.invoice_id and restates(each)]
    return _Bill(*made, invoices=tuple(chain(invoice.lines, *(each.lines for each in corrections))))


async def _add_bill(session: ReadSession, account: _Account, bill: _Bill, book: TermsBook) -> None:
    events: list[Line] = []
    rollups: list[Line] = []
    for part in bill.parts:
        terms = await book.terms_of(part.plan_code, part.plan_version)
        for dated in terms.cards:
            held = while_valid(part.span, dated)
            if dated.card.meter is not None and held is not None:
                filters = {each.dimension: each.values for each in dated.card.filters}
                account.sales.setdefault(dated.card.meter, []).append(Sale(held.start, held.end, filters))
        if part not in account.seen:
            account.seen.add(part)
            events += [line for line, _ in await used_lines(session, part, terms, "live", from_events=True)]
            rollups += [line for line, _ in await used_lines(session, part, terms, "live")]
    _compare_lines(account, bill, events, rollups)


def _compare_lines(account: _Account, bill: _Bill, events: Sequence[Line], rollups: Sequence[Line]) -> None:
    """What the usage of a bill comes to beside its lines, by what lines have in common with their corrections."""
    columns = [by_key(lines) for lines in (events, rollups, bill.invoices, bill.upcoming)]
    true_ups = by_key(line for line in events if is_true_up(line))
    lines = {line.key: line for line in chain(events, rollups, bill.invoices, bill.upcoming)}

    def counted(key: LineKey) -> Iterable[Counted]:
        return (less(each[key], true_ups.get(key, NOTHING)) if key in each else NOTHING for each in columns)

    for key in dict.fromkeys(chain(*columns)):
        meter, card = lines[key].meter, lines[key].card
        assert meter is not None
        raw, rolled_up, invoiced, upcoming = counted(key)
        state: SaleState = "taken back" if bill.taken_back else "sold"
        account.add(MeterAccount(meter, state, raw, rolled_up, invoiced, upcoming))
        what = f"{meter} by {card} on {bill.name}"
        account.compare("usage events = rollups", what, raw, rolled_up)
        if not bill.taken_back:
            account.compare("usage events = invoice lines", what, raw, add(invoiced, upcoming))


async def _add_unsold(session: ReadSession, account: _Account, due_later: datetime | None) -> None:
    """Usage that is in no line."""
    meters = {meter.code: meter for meter in await metering.list_meters(session)}
    totals = [await metering.request_totals(session, _FIRST, _LAST, from_events=each) for each in (True, False)]
    used = {code for each in totals for code in each}
    for code in sorted(used | {code for code, meter in meters.items() if meter.scope == "operator"}):
        if code in meters:
            raw, rolled_up = await _unsold(session, meters[code], account.sales.get(code, []), due_later)
        else:  # a backend counted what nobody has defined
            raw, rolled_up = (_not_sold(each.get(code)) for each in totals)
        for state in sorted(raw.keys() | rolled_up.keys()):
            sides = raw.get(state, NOTHING), rolled_up.get(state, NOTHING)
            account.add(MeterAccount(code, state, *sides))
            account.compare("usage events = rollups", f"{code}, {state}", *sides)


async def _unsold(
    session: ReadSession, meter: Meter, sales: Sequence[Sale], due_later: datetime | None
) -> tuple[dict[SaleState, Counted], dict[SaleState, Counted]]:
    """From raw events, and from rollups."""
    moments = {_FIRST, _LAST, *(moment for each in sales for moment in (each.start, each.end))}
    if due_later is not None:
        moments.add(due_later)
    names = sorted({name for each in sales for name in each.filters})
    found = [
        unsold(
            await measured(session, meter.code, sorted(moments), group_by=names),
            sales,
            due_later,
            sums=meter.aggregation in _SUMS,
        )
        for measured in (metering.recount, metering.measure_windows)
    ]
    return found[0], found[1]


def _not_sold(found: Measured | None) -> dict[SaleState, Counted]:
    return {} if found is None else {"not sold": Counted(found.events, found.quantity)}


async def _booked(session: ReadSession, invoices: Sequence[Invoice]) -> tuple[BookedInvoices, ...]:
    numbered = [invoice for invoice in invoices if invoice.number is not None]
    found = []
    for currency in sorted({invoice.currency for invoice in numbered}):
        mine = [invoice for invoice in numbered if invoice.currency == currency]
        booked = [(await posted_nanos(session, invoice))[0] for invoice in mine]
        found.append(BookedInvoices(currency, len(mine), sum(each.net_minor for each in mine), sum(booked)))
    return tuple(found)
