"""Invoices and subscriptions as the API shows them, and the command line as JSON."""

from __future__ import annotations

from dataclasses import asdict

from omni.domains.billing.contracts import Invoice, Subscription
from omni.domains.billing.rules.records import to_decimal
from omni.domains.billing.schemas import InvoiceOut, LineOut, SubscriptionOut, TaxLineOut, UpcomingInvoiceOut
from omni.domains.billing.service.previewing import Upcoming
from omni.kit.money import format_minor


def to_api_invoice(invoice: Invoice) -> InvoiceOut:
    return InvoiceOut(
        id=invoice.invoice_id,
        number=invoice.number,
        kind=invoice.kind,
        status=invoice.status,
        mode=invoice.mode,
        currency=invoice.currency,
        subscription_id=invoice.subscription_id,
        corrects_id=invoice.corrects_id,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        issued_at=invoice.issued_at,
        due_at=invoice.due_at,
        net_minor=invoice.net_minor,
        tax_minor=invoice.tax_minor,
        gross_minor=invoice.gross_minor,
        paid_minor=invoice.paid_minor,
        credited_minor=invoice.credited_minor,
        due_minor=invoice.due_minor,
        total=format_minor(invoice.gross_minor, invoice.currency),
        taxes=[TaxLineOut(**asdict(tax)) for tax in invoice.taxes],
        lines=to_api_lines(invoice),
    )


def to_api_upcoming(upcoming: Upcoming) -> UpcomingInvoiceOut:
    invoice = upcoming.invoice
    return UpcomingInvoiceOut(
        currency=invoice.currency,
        subscription_id=invoice.subscription_id,
        period_start=invoice.period_start,
        period_end=invoice.period_end,
        unpriced=list(upcoming.unpriced),
        coupons=list(invoice.basis.coupons),
        net_minor=invoice.net_minor,
        tax_minor=invoice.tax_minor,
        gross_minor=invoice.gross_minor,
        total=format_minor(invoice.gross_minor, invoice.currency),
        taxes=[TaxLineOut(**asdict(tax)) for tax in invoice.taxes],
        lines=to_api_lines(invoice),
    )


def to_api_lines(invoice: Invoice) -> list[LineOut]:
    return [
        LineOut(
            position=position,
            kind=line.kind,
            card=line.card,
            name=line.name,
            meter=line.meter,
            filters=line.filters,
            dimensions=line.dimensions,
            start=line.start,
            end=line.end,
            quantity=to_decimal(line.quantity),
            events=line.events,
            net_minor=line.net_minor,
            steps=line.steps,
            tax_category=line.tax_category,
            tax_rate=line.tax_rate,
        )
        for position, line in enumerate(invoice.lines, start=1)
    ]


def to_api_subscription(subscription: Subscription) -> SubscriptionOut:
    row = asdict(subscription)
    return SubscriptionOut(
        id=row.pop("subscription_id"), **{name: row[name] for name in SubscriptionOut.model_fields if name in row}
    )
