"""The tour's last act as the operator: a seller, and a final invoice of what was used so far."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from omni.domains.billing import facade as billing
from omni.domains.billing.contracts import BillingProfile, Invoice, LegalEntity
from omni.domains.billing.documents.rendering import render_pdf
from omni.foundation.db.engine import PoolSettings, create_engine
from omni.foundation.db.roles import DatabaseAddress, Role
from omni.foundation.db.sessions import Database
from omni.kit.clock import SystemClock
from omni.kit.errors import NotConfigured

EXAMPLE_SELLER = LegalEntity(
    code="example", name="Example Seller d.o.o.", street="Zgledna ulica 1", postcode="1000", city="Ljubljana",
    country="SI", invoice_prefix="EX", vat_id="SI12345679", registration="1234567000",
    email="billing@example.com", iban="SI56191000000123438", is_default=True,
)  # fmt: skip
"""Only where no seller is set: every number is an example that passes its check digits."""
BUYER = BillingProfile(
    entity_code="", name="Aurora Insurance", street="Primerova cesta 12", postcode="2000", city="Maribor", country="SI"
)


@dataclass(frozen=True, slots=True)
class SettledUp:
    """A final invoice and where its document is."""

    invoice: Invoice
    file: Path


async def settle_up(address: DatabaseAddress, folder: Path, tenant_id: UUID) -> SettledUp:
    """Bills a tenant for what it has used until now, and writes the PDF to `folder`."""
    database = Database(create_engine(address.url(Role.APP), "omni-demo", PoolSettings(size=1)))
    now = SystemClock().now()
    try:
        async with database.shared() as shared:
            try:
                seller = await billing.seller_of(shared, None)
            except NotConfigured:
                seller = await billing.save_entity(shared, EXAMPLE_SELLER)
        async with database.write(tenant_id) as session:
            await billing.save_profile(session, replace(BUYER, entity_code=seller.code))
            await billing.bill_tenant(session, now)
            invoice = await billing.bill_until_now(session, now)
            document = await billing.load_document(session, invoice.invoice_id)
    finally:
        await database.close()
    pdf = await asyncio.to_thread(render_pdf, document)
    return SettledUp(invoice, await asyncio.to_thread(_write, folder / f"{invoice.number}.pdf", pdf))


def _write(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file
