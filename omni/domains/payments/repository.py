"""SQL of the payments domain."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from omni.domains.payments.contracts import (
    Deposit,
    EventKind,
    Payment,
    PaymentEvent,
    PaymentStatus,
    SavedMethod,
    StoredMethod,
)
from omni.domains.payments.tables import (
    payment_customers,
    payment_deposits,
    payment_events,
    payment_methods,
    payment_refunds,
    payments,
    webhook_events,
)
from omni.foundation.db.sessions import ReadSession, Session, SystemSession, WriteSession
from omni.kit.ids import uuid7

# --- payments ---


async def insert_payment(session: WriteSession, payment: Payment) -> None:
    row = {
        "tenant_id": session.tenant_id,
        "id": payment.payment_id,
        "invoice_id": payment.invoice_id,
        "provider": payment.provider,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "method": payment.method,
        "return_url": payment.return_url,
        "created_at": payment.created_at,
    }
    await session.execute(insert(payments).values(row | _outcome(payment)))


async def find_payment(session: ReadSession, payment_id: UUID) -> Payment | None:
    """None when it is missing or another tenant's."""
    table = payments.c
    statement = select(payments).where(table.tenant_id == session.tenant_id, table.id == payment_id)
    row = await session.first(statement)
    return None if row is None else _payment(row)


async def lock_payment(session: WriteSession, payment_id: UUID) -> Payment | None:
    """The payment, which nobody else changes before this transaction ends."""
    table = payments.c
    statement = select(payments).where(table.tenant_id == session.tenant_id, table.id == payment_id)
    row = await session.first(statement.with_for_update())
    return None if row is None else _payment(row)


async def all_payments(session: ReadSession, invoice_id: UUID | None = None) -> list[Payment]:
    """Newest first; of one invoice where it is named."""
    statement = select(payments).where(payments.c.tenant_id == session.tenant_id)
    if invoice_id is not None:
        statement = statement.where(payments.c.invoice_id == invoice_id)
    rows = await session.all(statement.order_by(payments.c.created_at.desc(), payments.c.id.desc()))
    return [_payment(row) for row in rows]


async def save_outcome(session: WriteSession, payment: Payment) -> None:
    """Writes what has come of a payment."""
    table = payments.c
    where = (table.tenant_id == session.tenant_id, table.id == payment.payment_id)
    await session.execute(update(payments).where(*where).values(_outcome(payment)))


async def payment_at(session: ReadSession, provider: str, provider_payment_id: str) -> UUID | None:
    """The tenant's payment that has this id at a provider."""
    table = payments.c
    if not provider_payment_id:
        return None
    where = (table.provider == provider, table.provider_payment_id == provider_payment_id)
    found = await session.scalar(select(table.id).where(table.tenant_id == session.tenant_id, *where))
    return None if found is None else UUID(str(found))


# --- events ---


async def add_event(session: WriteSession, payment_id: UUID, event: PaymentEvent) -> bool:
    """False when it is there already."""
    row = {
        "tenant_id": session.tenant_id,
        "payment_id": payment_id,
        "event_id": event.event_id,
        "kind": event.kind.value,
        "occurred_at": event.occurred_at,
        "provider_payment_id": event.provider_payment_id,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
        "subject": event.subject,
        "code": event.code,
    }
    return (await session.execute(insert(payment_events).values(row).on_conflict_do_nothing())).rowcount == 1


async def events_of(session: ReadSession, payment_id: UUID) -> list[PaymentEvent]:
    """In no order that matters."""
    table = payment_events.c
    statement = select(payment_events).where(table.tenant_id == session.tenant_id, table.payment_id == payment_id)
    return [
        PaymentEvent(
            row["event_id"],
            EventKind(row["kind"]),
            row["occurred_at"],
            row["provider_payment_id"],
            payment_id,
            row["amount_minor"],
            row["currency"],
            row["subject"],
            code=row["code"],
        )
        for row in await session.all(statement)
    ]


async def first_webhook(session: Session, provider: str, event: PaymentEvent) -> bool:
    """Whether this event of a provider had not come before; from now on it has."""
    row = {
        "provider": provider,
        "event_id": event.event_id,
        "kind": event.kind.value,
        "reference": event.provider_payment_id or event.customer,
    }
    return (await session.execute(insert(webhook_events).values(row).on_conflict_do_nothing())).rowcount == 1


async def owner_of_customer(session: SystemSession, provider: str, customer: str) -> UUID | None:
    """The tenant that a provider knows by this id."""
    known = payment_customers.c
    found = await session.scalar(select(known.tenant_id).where(known.provider == provider, known.customer == customer))
    return None if found is None else UUID(str(found))


async def owner_of_payment(
    session: SystemSession, provider: str, payment_id: UUID | None, provider_payment_id: str
) -> UUID | None:
    """The tenant whose payment it is, by our id or the provider's."""
    table = payments.c
    named = or_(
        table.id == payment_id,
        and_(table.provider_payment_id == provider_payment_id, table.provider_payment_id != ""),
    )
    found = await session.scalar(select(table.tenant_id).where(table.provider == provider, named).limit(1))
    return None if found is None else UUID(str(found))


# --- refunds ---


async def refunds_minor(session: ReadSession, payment_id: UUID) -> int:
    """What was asked to be given back of a payment."""
    table = payment_refunds.c
    statement = select(func.coalesce(func.sum(table.amount_minor), 0))
    return int(
        await session.scalar(statement.where(table.tenant_id == session.tenant_id, table.payment_id == payment_id))
    )


async def insert_refund(session: WriteSession, payment_id: UUID, amount_minor: int, reason: str, user_id: UUID) -> UUID:
    refund_id = uuid7()
    row = {
        "tenant_id": session.tenant_id,
        "id": refund_id,
        "payment_id": payment_id,
        "amount_minor": amount_minor,
        "reason": reason,
        "created_by": user_id,
    }
    await session.execute(insert(payment_refunds).values(row))
    return refund_id


async def refund_of(session: ReadSession, refund_id: UUID) -> tuple[UUID, int] | None:
    """Payment and amount."""
    table = payment_refunds.c
    statement = select(payment_refunds).where(table.tenant_id == session.tenant_id, table.id == refund_id)
    row = await session.first(statement)
    return None if row is None else (row["payment_id"], row["amount_minor"])


# --- deposits ---


async def next_deposit_index(session: Session) -> int:
    """An index that is never given again."""
    return int(await session.scalar(text("select nextval('payment_deposit_index')")))


async def insert_deposit(session: WriteSession, deposit: Deposit) -> None:
    """Nothing when the payment has one."""
    row = {
        "tenant_id": session.tenant_id,
        "payment_id": deposit.payment_id,
        "address_index": deposit.index,
        "address": deposit.address,
        "asset": deposit.asset,
        "units": str(deposit.units),
        "amount_minor": deposit.amount_minor,
        "currency": deposit.currency,
        "created_at": deposit.created_at,
        "expires_at": deposit.expires_at,
    }
    await session.execute(insert(payment_deposits).values(row).on_conflict_do_nothing())


async def deposit_of(session: SystemSession, payment_id: UUID) -> Deposit | None:
    """Of any tenant."""
    row = await session.first(select(payment_deposits).where(payment_deposits.c.payment_id == payment_id))
    return None if row is None else _deposit(row)


async def deposit_at(session: SystemSession, address: str) -> Deposit | None:
    """Of any tenant."""
    row = await session.first(select(payment_deposits).where(payment_deposits.c.address == address))
    return None if row is None else _deposit(row)


async def deposits_since(session: SystemSession, moment: datetime) -> list[tuple[UUID, Deposit]]:
    """Every tenant's that was opened after an instant, with whose it is."""
    statement = select(payment_deposits).where(payment_deposits.c.created_at > moment)
    rows = await session.all(statement.order_by(payment_deposits.c.created_at))
    return [(row["tenant_id"], _deposit(row)) for row in rows]


# --- customers and methods ---


async def customer_of(session: ReadSession, provider: str) -> str | None:
    table = payment_customers.c
    where = (table.tenant_id == session.tenant_id, table.provider == provider)
    found = await session.scalar(select(table.customer).where(*where))
    return None if found is None else str(found)


async def keep_customer(session: WriteSession, provider: str, customer: str) -> str:
    """The customer from here on: this one, or the one that was there first."""
    row = {"tenant_id": session.tenant_id, "provider": provider, "customer": customer}
    known = [payment_customers.c.tenant_id, payment_customers.c.provider]
    await session.execute(insert(payment_customers).values(row).on_conflict_do_nothing(index_elements=known))
    return await customer_of(session, provider) or customer


async def keep_method(session: WriteSession, provider: str, saved: SavedMethod, now: datetime) -> StoredMethod:
    """Adds a method, or finds it."""
    row = {
        "tenant_id": session.tenant_id,
        "id": uuid7(),
        "provider": provider,
        "method": saved.method,
        "kind": saved.kind,
        "brand": saved.brand,
        "last4": saved.last4,
        "expires": saved.expires,
        "created_at": now,
    }
    await session.execute(insert(payment_methods).values(row).on_conflict_do_nothing())
    return next(each for each in await all_methods(session) if each.saved.method == saved.method)


async def all_methods(session: ReadSession) -> list[StoredMethod]:
    """Oldest first."""
    statement = select(payment_methods).where(payment_methods.c.tenant_id == session.tenant_id)
    rows = await session.all(statement.order_by(payment_methods.c.created_at, payment_methods.c.id))
    return [
        StoredMethod(
            row["id"],
            row["provider"],
            SavedMethod(row["method"], row["kind"], row["brand"], row["last4"], row["expires"]),
            row["created_at"],
        )
        for row in rows
    ]


async def delete_method(session: WriteSession, method_id: UUID) -> bool:
    table = payment_methods.c
    statement = delete(payment_methods).where(table.tenant_id == session.tenant_id, table.id == method_id)
    return (await session.execute(statement)).rowcount == 1


def _deposit(row: RowMapping) -> Deposit:
    return Deposit(
        row["payment_id"],
        row["address_index"],
        row["address"],
        row["asset"],
        int(row["units"]),
        row["amount_minor"],
        row["currency"],
        row["created_at"],
        row["expires_at"],
    )


def _outcome(payment: Payment) -> dict[str, object]:
    return {
        "provider_payment_id": payment.provider_payment_id,
        "payment_status": payment.status.value,
        "code": payment.code,
        "action_url": payment.action_url,
        "received_minor": payment.received_minor,
        "refunded_minor": payment.refunded_minor,
        "withdrawn_minor": payment.withdrawn_minor,
    }


def _payment(row: RowMapping) -> Payment:
    made = Payment(
        row["id"],
        row["invoice_id"],
        row["provider"],
        row["amount_minor"],
        row["currency"],
        row["method"],
        row["return_url"],
        row["created_at"],
    )
    return replace(
        made,
        status=PaymentStatus(row["payment_status"]),
        provider_payment_id=row["provider_payment_id"],
        code=row["code"],
        action_url=row["action_url"],
        received_minor=row["received_minor"],
        refunded_minor=row["refunded_minor"],
        withdrawn_minor=row["withdrawn_minor"],
    )


# --- figures of the platform ---


async def payment_counts(session: SystemSession, since: datetime) -> dict[tuple[str, ...], int]:
    """Payments begun since an instant, by provider and status."""
    statement = select(payments.c.provider, payments.c.payment_status, func.count().label("count")).where(
        payments.c.created_at >= since
    )
    rows = await session.all(statement.group_by(payments.c.provider, payments.c.payment_status))
    return {(row["provider"], row["payment_status"]): row["count"] for row in rows}


async def webhook_counts(session: SystemSession, since: datetime) -> dict[tuple[str, ...], int]:
    """Webhooks taken since an instant, by provider."""
    counted = select(webhook_events.c.provider, func.count().label("count"))
    rows = await session.all(counted.where(webhook_events.c.created_at >= since).group_by(webhook_events.c.provider))
    return {(row["provider"],): row["count"] for row in rows}
