"""Invoices and their lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, RowMapping, cast, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.billing.contracts import Basis, FeePart, Invoice, Line
from omni.domains.billing.rules import records
from omni.domains.billing.tables import billing_profiles, invoice_lines, invoices
from omni.foundation.db.sessions import ReadSession, SystemSession, WriteSession

_LONGEST_PERIOD = timedelta(days=366)
"""Fees in advance reach so far beyond the end of what an invoice closes."""


async def insert_draft(session: WriteSession, invoice: Invoice) -> bool:
    """False when there is one for the same cause."""
    statement = insert(invoices).values(tenant_id=session.tenant_id, id=invoice.invoice_id, **_to_row(invoice))
    return (await session.execute(statement.on_conflict_do_nothing(constraint="uq_invoices_cause"))).rowcount == 1


async def save(session: WriteSession, invoice: Invoice) -> None:
    """All of it but its lines."""
    table = invoices.c
    statement = update(invoices).where(table.tenant_id == session.tenant_id, table.id == invoice.invoice_id)
    await session.execute(statement.values(**_to_row(invoice)))


async def replace_lines(session: WriteSession, invoice: Invoice) -> None:
    table = invoice_lines.c
    await session.execute(
        delete(invoice_lines).where(table.tenant_id == session.tenant_id, table.invoice_id == invoice.invoice_id)
    )
    if invoice.lines:
        rows = [
            {"tenant_id": session.tenant_id, "invoice_id": invoice.invoice_id, "position": position, **_line_row(line)}
            for position, line in enumerate(invoice.lines, start=1)
        ]
        await session.execute(insert(invoice_lines), rows)


async def find(session: ReadSession, invoice_id: UUID, *, lock: bool = False) -> Invoice | None:
    """With its lines; locked, it stays as it is until this transaction ends."""
    table = invoices.c
    statement = select(invoices).where(table.tenant_id == session.tenant_id, table.id == invoice_id)
    row = await session.first(statement.with_for_update() if lock else statement)
    return None if row is None else (await _with_lines(session, [row]))[0]


async def list_newest(session: ReadSession, before: UUID | None, limit: int) -> list[Invoice]:
    """Newest first, with their lines."""
    table = invoices.c
    statement = select(invoices).where(table.tenant_id == session.tenant_id)
    if before is not None:
        statement = statement.where(table.id < before)
    return await _with_lines(session, await session.all(statement.order_by(table.id.desc()).limit(limit)))


async def corrections_of(session: ReadSession, invoice_id: UUID) -> list[Invoice]:
    """What was issued to correct an invoice, oldest first."""
    table = invoices.c
    statement = select(invoices).where(table.tenant_id == session.tenant_id, table.corrects_id == invoice_id)
    return await _with_lines(session, await session.all(statement.order_by(table.id)))


async def last_final(session: ReadSession, before: Invoice) -> UUID | None:
    """The newest invoice with a number of the same subscription."""
    table = invoices.c
    statement = select(table.id).where(
        table.tenant_id == session.tenant_id, table.subscription_id == before.subscription_id,
        table.kind == "invoice", table.number.is_not(None), table.id != before.invoice_id,
    )  # fmt: skip
    found: UUID | None = await session.scalar(statement.order_by(table.id.desc()).limit(1))
    return found


async def charging(session: ReadSession, credit: FeePart) -> Invoice | None:
    """The invoice with the fees in advance that a credit gives back in part: the newest before the credit's own, also
    one that was taken back."""
    table, span = invoices.c, credit.span
    statement = select(invoices).where(
        table.tenant_id == session.tenant_id, or_(table.status != "void", table.number.is_not(None)),
        table.period_end >= span.whole_start, table.period_end <= span.start,
    )  # fmt: skip
    found = await _with_lines(session, await session.all(statement.order_by(table.id.desc())))
    own = next((place for place, invoice in enumerate(found) if credit in invoice.basis.fees), -1)
    for invoice in found[own + 1 :]:
        for fee in invoice.basis.fees:
            same_plan = (fee.plan_code, fee.plan_version) == (credit.plan_code, credit.plan_version)
            if not fee.credit and same_plan and fee.span.start <= span.start and fee.span.end == span.end:
                return invoice
    return None


async def bases_touching(session: ReadSession, start: datetime, end: datetime) -> list[Basis]:
    """What the tenant's invoices are for, of those that may be for something in [start, end)."""
    table = invoices.c
    statement = select(table.basis).where(
        table.tenant_id == session.tenant_id, table.status != "void",
        table.period_start < end, table.period_end > start - _LONGEST_PERIOD,
    )  # fmt: skip
    return [records.basis_from_json(row["basis"]) for row in await session.all(statement.order_by(table.id))]


async def touching(session: ReadSession, start: datetime, end: datetime) -> list[Invoice]:
    """The tenant's invoices, drafts and corrections that may be for something in [start, end), and more."""
    table = invoices.c
    statement = select(invoices).where(
        table.tenant_id == session.tenant_id, table.period_start < end, table.period_end > start - _LONGEST_PERIOD
    )
    return await _with_lines(session, await session.all(statement.order_by(table.id)))


async def caused_by(session: ReadSession, prefix: str) -> list[Invoice]:
    """The tenant's invoices whose causes begin so, oldest first."""
    table = invoices.c
    statement = select(invoices).where(
        table.tenant_id == session.tenant_id, table.cause.startswith(prefix, autoescape=True)
    )
    return await _with_lines(session, await session.all(statement.order_by(table.id)))


async def drafts_ending_before(session: ReadSession, moment: datetime) -> list[UUID]:
    """Drafts whose period was over by then, oldest first."""
    table = invoices.c
    statement = select(table.id).where(
        table.tenant_id == session.tenant_id, table.status == "draft", table.period_end <= moment
    )
    return [row["id"] for row in await session.all(statement.order_by(table.period_end, table.id))]


async def drafts(session: ReadSession) -> list[Invoice]:
    """Oldest first; locked until this transaction ends."""
    table = invoices.c
    statement = select(invoices).where(table.tenant_id == session.tenant_id, table.status == "draft")
    return await _with_lines(session, await session.all(statement.order_by(table.id).with_for_update()))


async def overdue(session: ReadSession, now: datetime) -> list[Invoice]:
    """Final invoices that should have been paid by now, oldest first."""
    table = invoices.c
    statement = select(invoices).where(
        table.tenant_id == session.tenant_id, table.status == "final", table.kind == "invoice", table.due_at < now
    )
    return await _with_lines(session, await session.all(statement.order_by(table.due_at, table.id)))


async def tenants_overdue(session: SystemSession, now: datetime) -> list[UUID]:
    """Tenants with invoices that should have been paid by now."""
    table = invoices.c
    statement = select(table.tenant_id).where(
        table.status == "final", table.kind == "invoice", table.mode == "live", table.due_at < now
    )
    return [row["tenant_id"] for row in await session.all(statement.distinct().order_by(table.tenant_id))]


async def draft_ends(session: ReadSession) -> list[datetime]:
    """When the periods of the tenant's drafts end."""
    table = invoices.c
    statement = select(table.period_end).where(table.tenant_id == session.tenant_id, table.status == "draft")
    return [row["period_end"] for row in await session.all(statement)]


async def tenants_with_drafts(session: SystemSession, moment: datetime) -> list[UUID]:
    """Tenants in real time with drafts whose period was over by then."""
    table, profile = invoices.c, billing_profiles.c
    statement = (
        select(table.tenant_id)
        .join(billing_profiles, profile.tenant_id == table.tenant_id)
        .where(table.status == "draft", table.period_end <= moment, profile.test_clock.is_(None))
    )
    return [row["tenant_id"] for row in await session.all(statement.distinct().order_by(table.tenant_id))]


async def numbers(session: SystemSession) -> Sequence[RowMapping]:
    """Of each legal entity and series: how many numbers were given, and the highest one."""
    series = func.regexp_replace(invoices.c.number, "-[0-9]+$", "")
    last = func.max(cast(func.regexp_replace(invoices.c.number, "^.*-", ""), Integer))
    statement = select(invoices.c.entity_code, series.label("series"), func.count().label("given"), last.label("last"))
    return await session.all(statement.where(invoices.c.number.is_not(None)).group_by(invoices.c.entity_code, series))


def _to_row(invoice: Invoice) -> dict[str, Any]:
    row = asdict(invoice)
    for name in ("invoice_id", "lines"):
        del row[name]
    row["basis"] = records.basis_to_json(invoice.basis)
    row["taxes"] = records.taxes_to_json(invoice.taxes)
    row["seller"] = None if invoice.seller is None else records.entity_to_json(invoice.seller)
    row["buyer"] = None if invoice.buyer is None else records.profile_to_json(invoice.buyer)
    return row


def _line_row(line: Line) -> dict[str, Any]:
    row = asdict(line)
    row["period_start"], row["period_end"] = row.pop("start"), row.pop("end")
    row["quantity"] = records.to_decimal(line.quantity)
    row["amount"] = str(line.amount)
    return row


async def _with_lines(session: ReadSession, rows: Sequence[RowMapping]) -> list[Invoice]:
    table = invoice_lines.c
    statement = select(invoice_lines).where(
        table.tenant_id == session.tenant_id, table.invoice_id.in_([row["id"] for row in rows])
    )
    found: dict[UUID, list[Line]] = {row["id"]: [] for row in rows}
    for row in await session.all(statement.order_by(table.invoice_id, table.position)):
        found[row["invoice_id"]].append(_to_line(row))
    return [_to_invoice(row, tuple(found[row["id"]])) for row in rows]


def _to_line(row: RowMapping) -> Line:
    values = {name: value for name, value in row.items() if name not in ("tenant_id", "invoice_id", "position")}
    values["start"], values["end"] = values.pop("period_start"), values.pop("period_end")
    values["quantity"], values["amount"] = Fraction(row["quantity"]), Fraction(row["amount"])
    return Line(**values)


def _to_invoice(row: RowMapping, lines: tuple[Line, ...]) -> Invoice:
    values = {name: value for name, value in row.items() if name not in ("tenant_id", "id", "created_at")}
    values["basis"] = records.basis_from_json(row["basis"])
    values["taxes"] = records.taxes_from_json(row["taxes"])
    values["seller"] = None if row["seller"] is None else records.entity_from_json(row["seller"])
    values["buyer"] = None if row["buyer"] is None else records.profile_from_json(row["buyer"])
    return Invoice(invoice_id=row["id"], lines=lines, **values)
