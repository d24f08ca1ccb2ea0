"""Jobs of billing."""

from __future__ import annotations

from omni.domains.billing.contracts import Invoice
from omni.domains.billing.documents.rendering import render_pdf
from omni.domains.billing.service import document, dunning, issuing, paying, running, topping_up
from omni.domains.billing.service.texts import invoice_mail, reminder_mail
from omni.domains.budgets import facade as budgets
from omni.domains.payments import facade as payments
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import Database, WriteSession
from omni.foundation.mail import Attachment, Mail, Mailer
from omni.foundation.outbox.messages import first_time
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.clock import Clock


def tasks(database: Database, mailer: Mailer, clock: Clock) -> list[Task]:
    """`billing.bill_tenant(tenant_id)`, `billing.send_invoice(tenant_id, invoice_id)`,
    `billing.send_reminder(tenant_id, invoice_id, number, last)`, `billing.collect(tenant_id, invoice_id)`,
    `billing.book_payment(tenant_id, payment_id)`, `billing.top_up(tenant_id, amount_nanos, reference)`."""

    async def bill_tenant(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            await running.bill_tenant(session, clock.now())

    async def send_invoice(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            invoice = await issuing.find(session, delivery.uuid("invoice_id"))
            if not await first_time(session, delivery.message_id):
                return
            pdf = render_pdf(await document.load_document(session, invoice.invoice_id))
            attachment = Attachment(f"{invoice.number}.pdf", "application/pdf", pdf)
            subject, text = invoice_mail(invoice)
            await _send(session, delivery, invoice, Mail("", "", subject, text, (attachment,)))

    async def send_reminder(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            invoice = await issuing.find(session, delivery.uuid("invoice_id"))
            if invoice.status != "final" or not await first_time(session, delivery.message_id):
                return
            subject, text = reminder_mail(invoice, last=bool(delivery.args["last"]))
            await _send(session, delivery, invoice, Mail("", "", subject, text))

    async def _send(session: WriteSession, delivery: Delivery, invoice: Invoice, mail: Mail) -> None:
        own = invoice.buyer.email if invoice.buyer is not None else None
        for position, email in enumerate([own] if own else await tenants.owner_emails(session)):
            message_id = f"{delivery.message_id}-{position}"
            await mailer.send(Mail(message_id, email, mail.subject, mail.text, mail.attachments))

    return [
        Task(running.BILL_TENANT, bill_tenant),
        Task(issuing.SEND_INVOICE, send_invoice),
        Task(dunning.SEND_REMINDER, send_reminder),
        *_money_tasks(database, clock),
    ]


def _money_tasks(database: Database, clock: Clock) -> list[Task]:
    async def collect(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            if await first_time(session, delivery.message_id):
                await paying.collect(session, delivery.uuid("invoice_id"), clock.now())

    async def book_payment(delivery: Delivery) -> None:
        async with database.write(delivery.uuid("tenant_id")) as session:
            await paying.book(session, delivery.uuid("payment_id"), clock.now())

    async def top_up(delivery: Delivery) -> None:
        amount_nanos, reference = int(delivery.args["amount_nanos"]), str(delivery.args["reference"])
        async with database.write(delivery.uuid("tenant_id")) as session:
            if await first_time(session, delivery.message_id):
                await topping_up.top_up(session, amount_nanos, reference, clock.now())

    return [
        Task(issuing.COLLECT, collect),
        Task(payments.MONEY_MOVED, book_payment),
        Task(budgets.TOP_UP, top_up),
    ]
