"""The guided tour with a card at Stripe: its final invoice is charged off-session, paid, and right in the books.

The platform speaks HTTP with localstripe, which signs and sends the webhooks itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from omni.apps.database import database_address
from omni.apps.demo.client import Doors, Visitor
from omni.apps.demo.settling import SettledUp, settle_up
from omni.apps.demo.tour import Tour
from omni.apps.settings import Settings
from omni.apps.verification import verify_all
from omni.kit.money import minor_to_nanos
from tests.acceptance.platform import Platform, until
from tests.acceptance.stripe_account import StripeAccount, stripe_account

PAID_SECONDS = 60
LOST_ANSWERS = 100
"""More than the platform asks for until the webhook has come."""


@dataclass
class Sale:
    """A tenant with a saved card on a platform that is paid through Stripe, and its invoices so far."""

    platform: Platform
    stripe: StripeAccount
    visitor: Visitor
    first: UUID
    settings: Settings

    @property
    def path(self) -> str:
        return f"/api/tenants/{self.visitor.tenant_id}"

    def get(self, path: str) -> Any:
        """What the tenant is shown."""
        headers = {"Authorization": f"Bearer {self.visitor.session_token}"}
        answer = httpx2.get(f"{self.platform.console}{self.path}{path}", headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def paid(self, invoice_id: UUID) -> dict[str, Any]:
        """The invoice, once it is paid."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"/invoices/{invoice_id}")
            return found if found["status"] == "paid" else None

        return until(look, PAID_SECONDS, "the invoice is paid")

    def cash_nanos(self) -> int:
        balances = {each["account"]: each["amount_nanos"] for each in self.get("/ledger/balances")["data"]}
        assert not balances.get("receivable"), balances
        return int(balances["cash"])

    def events_of(self, payment_id: str) -> list[str]:
        """Ids of what has become known of a payment, from answers and webhooks."""

        async def read() -> list[str]:
            connection = await asyncpg.connect(self.platform.run_file()["database"])
            try:
                found = await connection.fetch(
                    "select event_id from payment_events where payment_id = $1 order by created_at", UUID(payment_id)
                )
            finally:
                await connection.close()
            return [row["event_id"] for row in found]

        return asyncio.run(read())

    def keys_of_charge(self, payment_id: str) -> list[str]:
        """The idempotency key of each request for a payment's charge."""
        asked = [each for each in self.stripe.edge.requests if each.url.path == "/v1/payment_intents"]
        return [each.headers["idempotency-key"] for each in asked if payment_id.encode() in each.content]

    def all_agree(self) -> None:
        """`omni verify`, and `omni billing reconcile` of the month, which asks Stripe too."""
        verified = self.platform.command("verify", "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        month = datetime.fromisoformat(self.get("/invoices")["data"][0]["period_end"]).strftime("%Y-%m")
        done = self.platform.command("billing", "reconcile", "--period", month, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["mismatches"] == []


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeAccount]:
    with stripe_account() as account:
        yield account


@pytest.fixture(scope="module")
def sale(stripe: StripeAccount, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sale]:
    """Walks through the tour; its first tenant saves a card before the final invoice."""
    with Platform(tmp_path_factory.mktemp("paid"), stripe.environment) as platform:
        stripe.tell(f"{platform.console}/api/payment-webhooks/stripe")
        run = platform.run_file()
        settings = Settings(home=platform.home, database_url=run["database"], redis_url=run["redis"])
        yield asyncio.run(_tour(platform, stripe, settings))


async def _tour(platform: Platform, stripe: StripeAccount, settings: Settings) -> Sale:
    address = database_address(settings)
    invoices: list[UUID] = []
    doors = Doors(platform.gateway, platform.console, settings.mail_folder)

    async def settle_with_a_card(tenant_id: UUID) -> SettledUp:
        assert tour.first is not None
        await _save_card(doors, stripe, tour.first)
        settled = await settle_up(address, settings.home / "invoices", tenant_id)
        invoices.append(settled.invoice.invoice_id)
        return settled

    tour = Tour(doors, lambda: verify_all(address, settings.redis_address()), settle_with_a_card)
    try:
        for _title, step in tour.steps():
            await step()
    finally:
        await doors.close()
    assert tour.first is not None
    return Sale(platform, stripe, tour.first, invoices[0], settings)


async def _save_card(doors: Doors, stripe: StripeAccount, visitor: Visitor) -> None:
    """As a browser does: to the provider's page, and back to the console."""
    path, token = f"/api/tenants/{visitor.tenant_id}/payment-methods", visitor.session_token
    begun = {"provider": "stripe", "return_url": "https://console.example/billing"}
    page = await doors.control("POST", f"{path}/setup", token, json=begun)
    await stripe.fill_in_card(page["session_id"])
    finished = {"provider": "stripe", "session_id": page["session_id"]}
    saved = await doors.control("POST", path, token, 201, json=finished)
    assert (saved["kind"], saved["last4"]) == ("card", "4242")


def test_the_tours_invoice_is_paid_by_the_saved_card(sale: Sale) -> None:
    invoice = sale.paid(sale.first)
    total = invoice["gross_minor"]
    assert total > 0
    assert (invoice["paid_minor"], invoice["due_minor"]) == (total, 0)
    (payment,) = sale.get(f"/payments?invoice_id={sale.first}")["data"]
    assert (payment["status"], payment["received_minor"], payment["refunded_minor"]) == ("succeeded", total, 0)
    (intent,) = sale.stripe.objects("payment_intents")
    assert (intent["status"], intent["amount"], intent["currency"]) == ("succeeded", total, invoice["currency"].lower())
    assert intent["metadata"] == {"payment_id": payment["id"], "invoice_id": str(sale.first)}
    (charge,) = sale.stripe.objects("charges")
    assert (charge["paid"], charge["amount"], charge["payment_intent"]) == (True, total, intent["id"])
    assert sale.cash_nanos() == minor_to_nanos(total, invoice["currency"])
    sale.all_agree()


def test_when_stripes_answers_are_lost_its_webhook_books_the_one_charge(sale: Sale) -> None:
    first = sale.paid(sale.first)
    with sale.platform.api(sale.visitor.key) as api:
        body = {"model": "all-MiniLM-L6-v2", "input": ["Paid once, whatever is lost on the way. "] * 20}
        for _ in range(20):
            assert api.post("/v1/embeddings", json=body).status_code == 200
    assert sale.platform.command("verify").returncode == 0, "all usage has arrived"
    sale.stripe.edge.next_faults(*["lost"] * LOST_ANSWERS)
    tenant_id = UUID(sale.visitor.tenant_id)
    settled = asyncio.run(settle_up(database_address(sale.settings), sale.settings.home / "invoices", tenant_id))
    invoice = sale.paid(settled.invoice.invoice_id)
    (payment,) = sale.get(f"/payments?invoice_id={invoice['id']}")["data"]
    asked = len(sale.keys_of_charge(payment["id"]))
    sale.stripe.edge.next_faults()
    until(lambda: len(sale.keys_of_charge(payment["id"])) > asked, PAID_SECONDS, "the charge is asked for again")
    assert len(set(sale.keys_of_charge(payment["id"]))) == 1
    (event,) = [
        each
        for each in sale.stripe.objects("events")
        if each["type"] == "payment_intent.succeeded"
        and each["data"]["object"]["metadata"]["payment_id"] == payment["id"]
    ]
    assert sale.events_of(payment["id"]) == [event["id"]]
    charges = sorted(charge["amount"] for charge in sale.stripe.objects("charges"))
    assert charges == sorted([first["gross_minor"], invoice["gross_minor"]])
    both = first["gross_minor"] + invoice["gross_minor"]
    assert sale.cash_nanos() == minor_to_nanos(both, invoice["currency"])
    sale.all_agree()
