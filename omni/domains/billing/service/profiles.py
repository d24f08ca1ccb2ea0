"""Sellers and buyers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from omni.domains.billing.contracts import BillingProfile, LegalEntity
from omni.domains.billing.repository import parties, subscriptions
from omni.domains.pricing import facade as pricing
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import ReadSession, Session, WriteSession
from omni.kit.errors import Conflict, InvalidInput, NotConfigured, NotFound
from omni.kit.money import CURRENCY_EXPONENTS
from omni.kit.zones import known_zone


async def profile_of(session: ReadSession) -> BillingProfile:
    """The tenant's profile; until it has one, its name and the default seller. Raises NotConfigured."""
    profile = await buyer_of(session)
    if not profile.entity_code:
        raise _seller_missing()
    return profile


async def buyer_of(session: ReadSession) -> BillingProfile:
    """The same, also while nobody sells: its `entity_code` is empty then."""
    found = await parties.find_profile(session)
    if found is not None:
        return found
    tenant = await tenants.get_tenant(session)
    seller = await parties.find_entity(session, None)
    return BillingProfile(seller.code if seller else "", tenant.name, currency=pricing.DEFAULT_CURRENCY)


async def seller_of(session: Session, code: str | None) -> LegalEntity:
    """The legal entity of this code, or the default one. Raises NotConfigured `seller_missing`."""
    found = await parties.find_entity(session, code)
    if found is None:
        raise _seller_missing()
    return found


def _seller_missing() -> NotConfigured:
    return NotConfigured(
        "seller_missing",
        "Nobody is set who sells, so nothing can be invoiced: an operator adds a default legal entity with "
        "PUT /api/operator/legal-entities/{code}.",
    )


async def save_profile(session: WriteSession, profile: BillingProfile) -> BillingProfile:
    """Sets the tenant's profile; a clock stays as it is.

    Raises InvalidInput for a VAT id, currency or time zone that there is not, NotFound `legal_entity_not_found`,
    Conflict `currency_fixed` once the tenant has a subscription in another currency.
    """
    if profile.currency not in CURRENCY_EXPONENTS:
        known = ", ".join(CURRENCY_EXPONENTS)
        raise InvalidInput("unknown_currency", f"Currency {profile.currency} is not known; known are {known}.")
    known_zone(profile.time_zone)
    if profile.vat_id is not None:
        profile = replace(profile, vat_id=pricing.check_vat_id(profile.country, profile.vat_id))
    if await parties.find_entity(session, profile.entity_code) is None:
        raise NotFound("legal_entity_not_found", "There is no such legal entity.")
    running = await subscriptions.current(session)
    if running is not None and running.currency != profile.currency:
        raise Conflict("currency_fixed", f"The subscription is in {running.currency}: cancel it first.")
    await parties.save_profile(session, profile)
    return profile


async def start_clock(session: WriteSession, at: datetime) -> BillingProfile:
    """Makes the tenant a sandbox that lives by a clock of its own. Raises Conflict `sandbox_too_late`."""
    profile = await profile_of(session)
    if profile.test_clock is not None:
        raise Conflict("sandbox_exists", "The tenant has a clock already: advance it.")
    if await subscriptions.list_all(session):
        raise Conflict("sandbox_too_late", "The tenant has had a subscription in real time: take a new tenant.")
    await parties.save_profile(session, profile)
    await parties.set_clock(session, at)
    return replace(profile, test_clock=at)


async def save_entity(session: Session, entity: LegalEntity) -> LegalEntity:
    """Adds or changes a seller. The prefix of its numbers stays. Raises InvalidInput for a wrong VAT id."""
    if entity.vat_id is not None:
        entity = replace(entity, vat_id=pricing.check_vat_id(entity.country, entity.vat_id))
    known = await parties.find_entity(session, entity.code)
    if known is not None and known.invoice_prefix != entity.invoice_prefix:
        raise Conflict("invoice_prefix_fixed", "The prefix of invoice numbers never changes.")
    await parties.save_entity(session, entity)
    return entity
