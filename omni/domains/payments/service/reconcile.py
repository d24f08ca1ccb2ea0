"""Comparing what a provider has with what is booked here: answers and webhooks that never came are found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from omni.domains.payments import repository
from omni.domains.payments.contracts import Payment, PaymentResult, PaymentStatus, ProviderPayment
from omni.domains.payments.service.charges import record_result
from omni.domains.payments.service.webhooks import Intake


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something that the provider and the books do not agree on, in minor units."""

    provider: str
    provider_payment_id: str
    payment_id: UUID | None
    what: str
    booked: int
    at_provider: int


async def reconcile(intake: Intake, provider: str, since: datetime) -> list[Mismatch]:
    """Books payments that succeeded at the provider without our hearing of it, and returns what still differs.

    Payments that were not made through Omni do not count; one that succeeded twice does. Raises NotConfigured,
    Unavailable, UpstreamFailed.
    """
    found: list[Mismatch] = []
    charged: dict[UUID, str] = {}
    async for theirs in intake.providers.get(provider).list_payments(since):
        if theirs.status != PaymentStatus.SUCCEEDED or theirs.payment_id is None:
            continue
        if charged.setdefault(theirs.payment_id, theirs.provider_payment_id) != theirs.provider_payment_id:
            found.append(_mismatch(provider, theirs, "charged a second time", 0, theirs.amount_minor))
        else:
            found += await _compare(intake, provider, theirs)
    return found


async def _compare(intake: Intake, provider: str, theirs: ProviderPayment) -> list[Mismatch]:
    async with intake.open_system_session() as system:
        owner = await repository.owner_of_payment(system, provider, theirs.payment_id, theirs.provider_payment_id)
    if owner is None or theirs.payment_id is None:
        return [_mismatch(provider, theirs, "a payment that nobody here asked for", 0, theirs.amount_minor)]
    async with intake.database.write(owner) as session:
        ours = await repository.lock_payment(session, theirs.payment_id)
        if ours is None:
            return [_mismatch(provider, theirs, "another payment's id", 0, theirs.amount_minor)]
        if ours.status != PaymentStatus.SUCCEEDED:
            result = PaymentResult(PaymentStatus.SUCCEEDED, theirs.provider_payment_id)
            ours = await record_result(session, ours.payment_id, result, intake.clock.now())
    return list(_differences(provider, ours, theirs))


def _differences(provider: str, ours: Payment, theirs: ProviderPayment) -> list[Mismatch]:
    amounts = (
        ("received", ours.received_minor, theirs.amount_minor),
        ("refunded", ours.refunded_minor, theirs.refunded_minor),
    )
    found = [_mismatch(provider, theirs, what, booked, there) for what, booked, there in amounts if booked != there]
    if ours.currency != theirs.currency:
        what = f"the currency: {ours.currency} here, {theirs.currency} there"
        found.append(_mismatch(provider, theirs, what, ours.received_minor, theirs.amount_minor))
    return found


def _mismatch(provider: str, theirs: ProviderPayment, what: str, booked: int, there: int) -> Mismatch:
    return Mismatch(provider, theirs.provider_payment_id, theirs.payment_id, what, booked, there)
