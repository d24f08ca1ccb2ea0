"""PayPal's adapter: orders that payers approve, tokens, the vault, search in windows, signed webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from omni.domains.payments.contracts import Charge, EventKind, PaymentResult, PaymentStatus, Refund
from omni.domains.payments.providers.paypal.adapter import PayPal
from omni.domains.payments.providers.paypal.amounts import to_minor, to_money
from omni.kit.clock import ManualClock
from omni.kit.errors import InvalidInput, UpstreamFailed
from omni.kit.ids import uuid7
from tests.domains.payments.fake_paypal import CERTIFICATE_URL, FakePayPal

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def fake() -> FakePayPal:
    return FakePayPal()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def paypal(fake: FakePayPal, clock: ManualClock) -> AsyncIterator[PayPal]:
    async with httpx2.AsyncClient(transport=fake) as http:
        yield PayPal(http, fake.settings, clock)


def charge(method: str | None = None, amount_minor: int = 6377, currency: str = "EUR") -> Charge:
    return Charge(uuid7(), uuid7(), amount_minor, currency, "tenant", method, "https://console.example/back")


def sent(fake: FakePayPal, path: str) -> list[httpx2.Request]:
    return [request for request in fake.requests if request.url.path == path]


async def test_a_payer_who_agrees_on_paypals_page_has_paid_once_we_look(paypal: PayPal, fake: FakePayPal) -> None:
    wanted = charge()
    waiting = await paypal.charge(wanted)
    assert waiting.status == PaymentStatus.REQUIRES_ACTION
    order_id = waiting.provider_payment_id.removeprefix("order:")
    assert waiting.action_url.endswith(order_id)
    fake.approve(order_id)
    paid = await paypal.get_payment(waiting.provider_payment_id)
    assert paid == PaymentResult(PaymentStatus.SUCCEEDED, paid.provider_payment_id)
    assert fake.captures[paid.provider_payment_id]["custom_id"] == str(wanted.payment_id)
    assert await paypal.get_payment(waiting.provider_payment_id) == paid
    assert await paypal.get_payment(paid.provider_payment_id) == paid
    assert len(fake.captures) == 1


async def test_what_is_sent(paypal: PayPal, fake: FakePayPal) -> None:
    wanted = charge(fake.save_method())
    await paypal.charge(wanted)
    (request,) = sent(fake, "/v2/checkout/orders")
    assert request.headers["paypal-request-id"] == f"charge-{wanted.payment_id}"
    body = json.loads(request.content)
    assert body["purchase_units"] == [
        {
            "amount": {"currency_code": "EUR", "value": "63.77"},
            "custom_id": str(wanted.payment_id),
            "invoice_id": str(wanted.payment_id),
        }
    ]
    assert body["payment_source"]["paypal"]["vault_id"] == wanted.method
    assert body["payment_source"]["paypal"]["stored_credential"]["payment_initiator"] == "MERCHANT"


async def test_a_token_is_used_until_it_ends_or_is_withdrawn(
    paypal: PayPal, fake: FakePayPal, clock: ManualClock
) -> None:
    method = fake.save_method()
    await paypal.charge(charge(method))
    await paypal.charge(charge(method))
    assert fake.tokens == 1
    clock.advance(timedelta(hours=9))
    await paypal.charge(charge(method))
    assert fake.tokens == 2
    fake.tokens = 7  # PayPal knows the adapter's token no more
    assert (await paypal.charge(charge(method))).status == PaymentStatus.SUCCEEDED
    assert fake.tokens == 8


async def test_a_declined_capture_and_a_voided_order(paypal: PayPal, fake: FakePayPal) -> None:
    paid = await paypal.charge(charge(fake.save_method()))
    fake.captures[paid.provider_payment_id] |= {"status": "DECLINED", "status_details": {"reason": "BUYER_COMPLAINT"}}
    assert await paypal.get_payment(paid.provider_payment_id) == PaymentResult(
        PaymentStatus.FAILED, paid.provider_payment_id, "BUYER_COMPLAINT"
    )
    waiting = await paypal.charge(charge())
    fake.orders[waiting.provider_payment_id.removeprefix("order:")]["status"] = "VOIDED"
    assert (await paypal.get_payment(waiting.provider_payment_id)).code == "voided"


async def test_a_saved_method_that_is_gone(paypal: PayPal, fake: FakePayPal) -> None:
    method = fake.save_method()
    await paypal.remove_method(method)
    await paypal.remove_method(method)
    assert (await paypal.charge(charge(method))).code == "TOKEN_ID_NOT_FOUND"
    with pytest.raises(UpstreamFailed):
        await paypal.get_method(method)


async def test_more_than_was_paid_cannot_go_back(paypal: PayPal, fake: FakePayPal) -> None:
    wanted = charge(fake.save_method())
    paid = await paypal.charge(wanted)
    with pytest.raises(UpstreamFailed) as refused:
        await paypal.refund(Refund(uuid7(), wanted.payment_id, paid.provider_payment_id, 6378, "EUR"))
    assert "REFUND_AMOUNT_EXCEEDED" in str(refused.value.internal)
    assert "very-secret" not in f"{refused.value.internal}{fake.settings!r}"


async def test_search_goes_over_windows_and_pages(paypal: PayPal, fake: FakePayPal, clock: ManualClock) -> None:
    charges = [charge(fake.save_method()) for _ in range(3)]
    for each in charges:
        await paypal.charge(each)
    found = [each async for each in paypal.list_payments(clock.now() - timedelta(days=70))]
    assert [each.payment_id for each in found] == [each.payment_id for each in charges]
    assert len(sent(fake, "/v1/reporting/transactions")) == 2 + 2  # two empty windows, two pages of two


# --- amounts ---


@pytest.mark.parametrize(
    ("amount_minor", "currency", "value"),
    [(6377, "EUR", "63.77"), (5, "USD", "0.05"), (637, "JPY", "637"), (12300, "HUF", "123")],
)
def test_amounts_there_and_back(amount_minor: int, currency: str, value: str) -> None:
    assert to_money(amount_minor, currency) == {"currency_code": currency, "value": value}
    assert to_minor({"currency_code": currency, "value": value}) == (amount_minor, currency)


@pytest.mark.parametrize(("amount_minor", "currency"), [(0, "EUR"), (-1, "EUR"), (100, "BHD"), (12345, "HUF")])
def test_amounts_that_paypal_cannot_move(amount_minor: int, currency: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        to_money(amount_minor, currency)
    assert refused.value.code == "unpayable_amount"


@pytest.mark.parametrize("value", ["63.775", "NaN", "x", "Infinity", "1E+999999"])
def test_what_is_no_amount(value: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        to_minor({"currency_code": "EUR", "value": value})


# --- webhooks ---


def told(kind: str, **resource: object) -> bytes:
    moment = NOW.isoformat().replace("+00:00", "Z")
    return json.dumps({"id": "WH-1", "event_type": kind, "create_time": moment, "resource": resource}).encode()


async def refusal(paypal: PayPal, body: bytes, headers: dict[str, str], now: datetime = NOW) -> str:
    with pytest.raises(InvalidInput) as refused:
        await paypal.parse_webhook(body, headers, now)
    return refused.value.code


async def test_an_approved_order_is_told_so_that_it_can_be_captured(paypal: PayPal, fake: FakePayPal) -> None:
    payment_id = uuid7()
    unit = {"amount": {"currency_code": "EUR", "value": "63.77"}, "custom_id": str(payment_id)}
    body = told("CHECKOUT.ORDER.APPROVED", id="5O190127TN364715T", purchase_units=[unit])
    (event,) = await paypal.parse_webhook(body, fake.sign(body, NOW), NOW)
    assert (event.kind, event.code, event.provider_payment_id) == (
        EventKind.PAYMENT_PENDING, "approved", "order:5O190127TN364715T",
    )  # fmt: skip
    assert event.payment_id == payment_id


async def test_other_types_do_not_matter(paypal: PayPal, fake: FakePayPal) -> None:
    body = told("BILLING.PLAN.CREATED", id="x")
    assert await paypal.parse_webhook(body, fake.sign(body, NOW), NOW) == ()


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL.replace("https", "http"),
        CERTIFICATE_URL.replace("paypal.example", "paypal.example.evil.example"),
        CERTIFICATE_URL.replace("api.", "api.sandbox."),
        CERTIFICATE_URL.replace("api.paypal.example", "evil@api.paypal.example"),
        CERTIFICATE_URL.replace("api.paypal.example", "api.paypal.example:8443"),
        CERTIFICATE_URL.replace("/v1/notifications/certs/", "/elsewhere/"),
        CERTIFICATE_URL + "-unknown",
        "https://[",
        "",
    ],
)
async def test_certificates_come_from_paypal_only(paypal: PayPal, fake: FakePayPal, url: str) -> None:
    body = told("BILLING.PLAN.CREATED", id="x")
    assert await refusal(paypal, body, fake.sign(body, NOW) | {"paypal-cert-url": url}) == "webhook_signature_invalid"
    assert all(urlsplit(str(request.url)).hostname == "api.paypal.example" for request in fake.requests)


async def test_the_certificate_is_fetched_once_and_must_be_valid_now(paypal: PayPal, fake: FakePayPal) -> None:
    body = told("BILLING.PLAN.CREATED", id="x")
    for _ in range(2):
        await paypal.parse_webhook(body, fake.sign(body, NOW), NOW)
    assert len(fake.requests) == 1
    later = NOW + timedelta(days=1000)
    assert await refusal(paypal, body, fake.sign(body, later), later) == "webhook_signature_invalid"


async def test_another_key_another_webhook_another_algorithm(paypal: PayPal, fake: FakePayPal) -> None:
    body = told("BILLING.PLAN.CREATED", id="x")
    stranger = fake.sign(body, NOW, generate_private_key(65537, 2048))
    assert await refusal(paypal, body, stranger) == "webhook_signature_invalid"
    weak = fake.sign(body, NOW) | {"paypal-auth-algo": "SHA1withRSA"}
    assert await refusal(paypal, body, weak) == "webhook_signature_invalid"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        told("PAYMENT.CAPTURE.COMPLETED", id="x"),
        told("PAYMENT.CAPTURE.COMPLETED", id="x", amount={"currency_code": "EUR", "value": "1.234"}),
        told("PAYMENT.CAPTURE.COMPLETED", id="x", amount={"currency_code": "XXX", "value": "1"}),
        told("CHECKOUT.ORDER.APPROVED", id="x", purchase_units=[]),
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(paypal: PayPal, fake: FakePayPal, body: bytes) -> None:
    assert await refusal(paypal, body, fake.sign(body, NOW)) == "webhook_malformed"
