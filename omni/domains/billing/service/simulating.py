"""What a real span of a tenant's time would have come to on other terms. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from omni.domains.billing.contracts import (
    Basis,
    BillingProfile,
    FeePart,
    Invoice,
    RatedPart,
    Span,
    Subscription,
    Terms,
    UsagePart,
)
from omni.domains.billing.repository import invoices, subscriptions
from omni.domains.billing.rules.calendar import Schedule
from omni.domains.billing.rules.lines import fee_lines
from omni.domains.billing.service import issuing
from omni.domains.billing.service.previewing import running_usage
from omni.domains.billing.service.profiles import profile_of, seller_of
from omni.domains.billing.service.rating import lines_of, used_lines
from omni.domains.billing.service.terms import TermsBook, from_plan_terms, terms_of
from omni.domains.metering import facade as metering
from omni.domains.plans import facade as plans
from omni.domains.pricing import facade as pricing
from omni.domains.pricing.contracts import PlanTerms
from omni.foundation.db.sessions import ReadSession
from omni.kit.errors import InvalidInput, NotFound
from omni.kit.ids import uuid7

INLINE = "simulated"
"""What stands for the plan's code where terms were given inline."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Other terms: those of a plan's version (None = the newest, or the price list where there is none), or inline."""

    plan_code: str | None = None
    version: int | None = None
    terms: PlanTerms | None = None
    seats: int | None = None
    """None = those that the tenant has."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """Both as drafts that are not stored, without coupons and fees that are due once."""

    simulated: Invoice
    actual: Invoice


async def simulate(
    session: ReadSession, choice: Choice, span: tuple[datetime, datetime], now: datetime, *, public_only: bool
) -> Simulation:
    """Prices a span on other terms, and on those that the tenant was on in it, from the same usage.

    The span begins when the tenant was first billed, if that is later. Usage counts until now; fees count for the share
    of their periods that the span is, also of time to come. On the other terms billing periods are the calendar's, or
    begin with the span (anniversary), and tiers begin anew in each.

    Raises Unprocessable `unknown_plan`, NotFound `plan_version_not_found`, InvalidInput `wrong_currency`,
    `period_empty` and what `check_cards` does, NotConfigured `seller_missing`.
    """
    profile, known = await profile_of(session), await subscriptions.list_all(session)
    currency = known[-1].currency if known else profile.currency
    terms = await _chosen(session, choice, currency, public_only=public_only)
    start, end = max([span[0], *_first_billed(known)]), span[1]
    if start >= end:
        raise InvalidInput("period_empty", "The tenant was not billed in this time: the end must be after the start.")
    draft = Invoice(
        uuid7(), "simulation", "invoice", "draft", profile.mode, profile.entity_code, None, currency, None, None,
        start, end, Basis(), seller=await seller_of(session, profile.entity_code), buyer=profile,
    )  # fmt: skip
    seats = choice.seats if choice.seats is not None else known[-1].seats if known else 1
    simulated = await _on_terms(session, draft, terms, seats, min(end, now))
    actual = await _as_it_was(session, draft, known, min(end, now))
    return Simulation(
        await issuing.taxed(session, draft, simulated, now), await issuing.taxed(session, draft, actual, now)
    )


def _first_billed(known: Sequence[Subscription]) -> list[datetime]:
    return [each.trial_ends_at or each.started_at for each in known[:1]]


async def _chosen(session: ReadSession, choice: Choice, currency: str, *, public_only: bool) -> Terms:
    if choice.terms is not None:
        if choice.terms.currency != currency:
            raise InvalidInput("wrong_currency", f"The tenant is billed in {currency}: give terms in it.")
        meters = [meter.code for meter in await metering.list_meters(session)]
        pricing.check_cards(choice.terms.rate_cards, currency, meters)
        return from_plan_terms(choice.terms, INLINE, None)
    assert choice.plan_code is not None, "the routes ask for a plan or terms"
    await plans.require_plan(session, choice.plan_code, public_only=public_only)
    found = await pricing.plan_version(session, choice.plan_code, choice.version, currency)
    if found is not None:
        return from_plan_terms(found.terms, choice.plan_code, found.version)
    if choice.version is not None:
        raise NotFound("plan_version_not_found", f"The plan has no version {choice.version} in {currency}.")
    return await terms_of(session, choice.plan_code, None, currency)


async def _on_terms(
    session: ReadSession, draft: Invoice, terms: Terms, seats: int, used_until: datetime
) -> list[RatedPart]:
    assert draft.buyer is not None
    plan = terms.plan_code, terms.version
    parts: list[RatedPart] = []
    for span in _spans(draft, terms, draft.buyer):
        used = _clipped(span, span.start, used_until)
        if used is not None:
            parts += await used_lines(session, UsagePart(*plan, seats, used), terms, draft.mode)
        parts += fee_lines(FeePart(*plan, seats, span), terms)
    return parts


def _spans(draft: Invoice, terms: Terms, profile: BillingProfile) -> Iterator[Span]:
    """The billing periods of the other terms that the simulated span touches, each as far as it does."""
    schedule = Schedule.of(terms.interval, terms.anchor, draft.period_start, profile.time_zone)
    at = draft.period_start
    while at < draft.period_end:
        whole = schedule.period_at(at)
        begins = whole.start if terms.anchor == "calendar" else max(whole.start, draft.period_start)
        yield Span(at, min(whole.end, draft.period_end), begins, whole.end)
        at = whole.end


async def _as_it_was(
    session: ReadSession, draft: Invoice, known: Sequence[Subscription], used_until: datetime
) -> list[RatedPart]:
    """What the parts of invoices that lie in the span come to now, and what is used and not invoiced yet."""
    start, end = draft.period_start, draft.period_end
    bases = await invoices.bases_touching(session, start, end)
    usage = [part for basis in bases for part in basis.usage]
    if known and known[-1].ended_at is None:
        usage += await running_usage(session, known[-1], min(used_until, known[-1].period_end))
    clipped = [replace(part, span=held) for part in usage if (held := _clipped(part.span, start, used_until))]
    parts = await lines_of(session, Basis(tuple(clipped)), draft.currency, draft.mode)
    book = TermsBook(session, draft.currency)
    for fee in (fee for basis in bases for fee in basis.fees):
        held = _clipped(fee.span, start, end)
        if held is not None:
            terms = await book.terms_of(fee.plan_code, fee.plan_version)
            parts += fee_lines(replace(fee, span=held, first=False), terms)
    return parts


def _clipped(span: Span, start: datetime, end: datetime) -> Span | None:
    """The part of a span in [start, end)."""
    start, end = max(span.start, start), min(span.end, end)
    return replace(span, start=start, end=end) if start < end else None
