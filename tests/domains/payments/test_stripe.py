"""Stripe's adapter: what it sends, how it reads answers and webhooks, one of which localstripe signs itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import httpx2
import pytest

from omni.apps.embedded.launch import free_port
from omni.domains.payments.contracts import Charge, EventKind, NewCustomer, PaymentResult, PaymentStatus
from omni.domains.payments.providers.stripe.adapter import Stripe
from omni.domains.payments.providers.stripe.client import StripeSettings
from omni.kit.errors import InvalidInput, UpstreamFailed
from omni.kit.ids import uuid7
from tests.domains.payments.harness import StripeHarness, stripe_signature
from tests.domains.payments.stripe_edge import StripeEdge

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
SETTINGS = StripeSettings("sk_test_12345", ("whsec_new", "whsec_old"), "https://stripe.example")
Answer = Callable[[httpx2.Request], httpx2.Response]


def stripe_that(answer: Answer) -> Stripe:
    return Stripe(httpx2.AsyncClient(transport=httpx2.MockTransport(answer)), SETTINGS)


def charge(method: str | None = "pm_1", amount_minor: int = 6377, currency: str = "EUR") -> Charge:
    return Charge(uuid7(), uuid7(), amount_minor, currency, "cus_1", method, "https://console.example/back")


def refusing(status: int, **error: object) -> Answer:
    return lambda request: httpx2.Response(status, json={"error": error}, request=request)


# --- charges ---


async def test_what_is_sent() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"id": "pi_1", "status": "succeeded"}, request=request)

    wanted = charge(currency="JPY")
    await stripe_that(answer).charge(wanted)
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "https://stripe.example/v1/payment_intents")
    assert request.headers["authorization"] == "Bearer sk_test_12345"
    assert request.headers["idempotency-key"] == f"charge-{wanted.payment_id}"
    assert request.headers["stripe-version"] == "2024-10-28.acacia"
    assert {name: values[0] for name, values in parse_qs(request.content.decode()).items()} == {
        "amount": "6377",
        "currency": "jpy",
        "customer": "cus_1",
        "payment_method": "pm_1",
        "confirm": "true",
        "off_session": "true",
        "metadata[payment_id]": str(wanted.payment_id),
        "metadata[invoice_id]": str(wanted.invoice_id),
    }


async def test_a_repeated_request_has_the_same_key(localstripe: str) -> None:
    edge = StripeEdge(localstripe)
    settings = StripeSettings("sk_test_12345", ("whsec_new",), localstripe)
    async with httpx2.AsyncClient(transport=edge) as http:
        provider = Stripe(http, settings)
        customer = await provider.create_customer(NewCustomer(uuid7(), "A", "a@a.example"))
        method = await StripeHarness(provider, edge).save_method(customer)
        edge.next_faults("lost", "409")
        before = len(edge.requests)
        made = await provider.charge(Charge(uuid7(), uuid7(), 100, "EUR", customer, method))
        sent = edge.requests[before:]
    assert made.status == PaymentStatus.SUCCEEDED
    assert len(sent) == 3
    assert len({(request.headers["idempotency-key"], request.content) for request in sent}) == 1


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (
            {"code": "card_declined", "decline_code": "insufficient_funds", "payment_intent": {"id": "pi_1"}},
            PaymentResult(PaymentStatus.FAILED, "pi_1", "insufficient_funds"),
        ),
        (
            {"code": "authentication_required", "payment_intent": {"id": "pi_1"}},
            PaymentResult(PaymentStatus.REQUIRES_ACTION, "pi_1", "authentication_required"),
        ),
        (
            {"code": "card_declined", "decline_code": "authentication_required", "payment_intent": {"id": "pi_1"}},
            PaymentResult(PaymentStatus.REQUIRES_ACTION, "pi_1", "authentication_required"),
        ),
        ({"code": "expired_card"}, PaymentResult(PaymentStatus.FAILED, "", "expired_card")),
        ({}, PaymentResult(PaymentStatus.FAILED, "", "card_declined")),
    ],
)
async def test_the_banks_answers(error: dict[str, object], result: PaymentResult) -> None:
    assert await stripe_that(refusing(402, type="card_error", **error)).charge(charge()) == result


@pytest.mark.parametrize(
    ("intent", "status"),
    [
        ("succeeded", PaymentStatus.SUCCEEDED),
        ("processing", PaymentStatus.PENDING),
        ("requires_payment_method", PaymentStatus.FAILED),
        ("canceled", PaymentStatus.FAILED),
        ("a_status_of_next_year", PaymentStatus.PENDING),
    ],
)
async def test_the_statuses_of_an_intent(intent: str, status: PaymentStatus) -> None:
    provider = stripe_that(lambda request: httpx2.Response(200, json={"id": "pi_1", "status": intent}, request=request))
    assert (await provider.get_payment("pi_1")).status == status


@pytest.mark.parametrize(
    "answer",
    [
        refusing(401, type="invalid_request_error", message="Invalid API Key"),
        refusing(400, type="idempotency_error"),
        lambda request: httpx2.Response(200, text="<html>", request=request),
        lambda request: httpx2.Response(404, json=["x"], request=request),
        lambda request: httpx2.Response(400, json={"error": "text"}, request=request),
    ],
)
async def test_what_the_payer_cannot_mend_is_an_error_without_the_key(answer: Answer) -> None:
    with pytest.raises(UpstreamFailed) as refused:
        await stripe_that(answer).charge(charge())
    assert refused.value.code == "payment_provider_failed"
    assert "sk_test" not in f"{refused.value.internal} {refused.value.message}"
    assert "sk_test" not in repr(SETTINGS)
    assert "whsec" not in repr(SETTINGS)


async def test_three_decimals_are_taken_in_tens() -> None:
    provider = stripe_that(lambda request: httpx2.Response(200, json={"id": "p", "status": "succeeded"}))
    assert (await provider.charge(charge(amount_minor=1230, currency="BHD"))).status == PaymentStatus.SUCCEEDED
    with pytest.raises(InvalidInput, match="the last digit of the amount must be 0") as refused:
        await provider.charge(charge(amount_minor=1234, currency="BHD"))
    assert refused.value.code == "unpayable_amount"


async def test_a_checkout_session_tells_how_its_payment_stands() -> None:
    session: dict[str, object] = {
        "id": "cs_1",
        "status": "open",
        "url": "https://checkout.example",
        "payment_intent": None,
    }
    provider = stripe_that(lambda request: httpx2.Response(200, json=session, request=request))
    assert await provider.get_payment("cs_1") == PaymentResult(
        PaymentStatus.REQUIRES_ACTION, "cs_1", action_url="https://checkout.example"
    )
    session |= {"status": "expired", "url": None}
    assert await provider.get_payment("cs_1") == PaymentResult(PaymentStatus.FAILED, "cs_1", "expired")
    session |= {"status": "complete", "payment_intent": {"id": "pi_1", "status": "succeeded"}}
    assert await provider.get_payment("cs_1") == PaymentResult(PaymentStatus.SUCCEEDED, "pi_1")


async def test_every_page_of_payments_is_read() -> None:
    def of(index: int) -> dict[str, object]:
        intent = {"id": f"pi_{index}", "metadata": {}}
        status = ("succeeded", "pending", "failed")[index]
        return {
            "id": f"ch_{index}", "payment_intent": intent, "status": status, "amount": 1, "currency": "eur",
            "amount_refunded": 0, "created": int(NOW.timestamp()),
        }  # fmt: skip

    def answer(request: httpx2.Request) -> httpx2.Response:
        after = request.url.params.get("starting_after")
        assert request.url.params["created[gt]"] == str(int(NOW.timestamp()))
        page = {None: [of(0), of(1)], "ch_1": [of(2)]}[after]
        return httpx2.Response(200, json={"data": page, "has_more": after is None}, request=request)

    found = [each async for each in stripe_that(answer).list_payments(NOW)]
    assert [each.provider_payment_id for each in found] == ["pi_0", "pi_1", "pi_2"]
    assert [each.status for each in found] == [PaymentStatus.SUCCEEDED, PaymentStatus.PENDING, PaymentStatus.FAILED]
    assert found[0].payment_id is None


# --- webhooks ---


def signed(event: object, secret: str = "whsec_new") -> tuple[bytes, dict[str, str]]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return body, {"stripe-signature": stripe_signature(body, NOW, secret)}


def told(kind: str, **subject: object) -> dict[str, object]:
    return {"id": "evt_1", "type": kind, "created": int(NOW.timestamp()), "data": {"object": subject}}


@pytest.fixture
async def stripe() -> Stripe:
    return stripe_that(lambda request: pytest.fail(f"a webhook asked {request.url}"))


async def test_both_secrets_hold_while_one_is_replaced(stripe: Stripe) -> None:
    for secret in ("whsec_new", "whsec_old"):
        body, headers = signed(told("customer.created", id="cus_1"), secret)
        assert await stripe.parse_webhook(body, headers, NOW) == ()
    body, headers = signed(told("customer.created", id="cus_1"), "whsec_other")
    with pytest.raises(InvalidInput, match="signature"):
        await stripe.parse_webhook(body, headers, NOW)


async def test_one_good_signature_of_several_is_enough(stripe: Stripe) -> None:
    body, headers = signed(told("customer.created", id="cus_1"))
    several = headers["stripe-signature"].replace(",v1=", f",v1={'0' * 64},v1=")
    assert await stripe.parse_webhook(body, {"stripe-signature": several}, NOW) == ()


@pytest.mark.parametrize("stamp", ["t=²,", "t=-1,", "t=1,t=1,", ""])
async def test_a_broken_time_is_refused(stripe: Stripe, stamp: str) -> None:
    body, headers = signed(told("customer.created", id="cus_1"))
    signature = headers["stripe-signature"].split(",", 1)[1]
    with pytest.raises(InvalidInput) as refused:
        await stripe.parse_webhook(body, {"stripe-signature": f"{stamp}{signature}"}, NOW)
    assert refused.value.code == "webhook_signature_invalid"


@pytest.mark.parametrize(
    "event",
    [
        b"{",
        b"[]",
        b'"x"',
        {"type": "payment_intent.succeeded"},
        told("payment_intent.succeeded", id="pi_1", amount=1),
        told("payment_intent.succeeded", id="pi_1", amount="x", currency="eur"),
        told("refund.updated", id="re_1", amount=1, currency="eur", status="unheard_of"),
        {
            "id": "e",
            "type": "payment_intent.succeeded",
            "created": "x",
            "data": {"object": {"id": "p", "currency": "eur"}},
        },
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(stripe: Stripe, event: object) -> None:
    body, headers = signed(event)
    with pytest.raises(InvalidInput) as refused:
        await stripe.parse_webhook(body, headers, NOW)
    assert refused.value.code == "webhook_malformed"


async def test_a_question_of_the_bank_takes_no_money(stripe: Stripe) -> None:
    body, headers = signed(
        told("charge.dispute.created", id="dp_1", amount=1, currency="eur", status="warning_needs_response")
    )
    assert await stripe.parse_webhook(body, headers, NOW) == ()


async def test_a_session_that_nobody_used_is_a_failed_payment(stripe: Stripe) -> None:
    payment_id = uuid7()
    session = {"id": "cs_1", "amount_total": 6377, "currency": "eur", "metadata": {"payment_id": str(payment_id)}}
    body, headers = signed(told("checkout.session.expired", **session))
    (event,) = await stripe.parse_webhook(body, headers, NOW)
    assert (event.kind, event.provider_payment_id, event.payment_id, event.amount_minor) == (
        EventKind.PAYMENT_FAILED, "cs_1", payment_id, 6377,
    )  # fmt: skip


async def test_a_webhook_that_localstripe_signs_itself(localstripe: str) -> None:
    arrived: asyncio.Future[tuple[bytes, dict[str, str]]] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        if not arrived.done() and wanted in body:
            arrived.set_result((body, headers))

    port = free_port()
    server = await asyncio.start_server(take, "127.0.0.1", port)
    edge = StripeEdge(localstripe)
    async with server, httpx2.AsyncClient(transport=edge) as http:
        await http.post(
            f"{localstripe}/_config/webhooks/ours",
            json={"url": f"http://127.0.0.1:{port}/", "secret": "whsec_real", "events": ["payment_intent.succeeded"]},
            headers={"idempotency-key": "config"},
        )
        provider = Stripe(http, StripeSettings("sk_test_12345", ("whsec_real",), localstripe))
        customer = await provider.create_customer(NewCustomer(uuid7(), "A", "a@a.example"))
        method = await StripeHarness(provider, edge).save_method(customer)
        made = Charge(uuid7(), uuid7(), 4900, "EUR", customer, method)
        wanted = str(made.payment_id).encode()
        result = await provider.charge(made)
        body, headers = await asyncio.wait_for(arrived, 30)
        now = datetime.now(UTC)
        (event,) = await provider.parse_webhook(body, headers, now)
        assert (event.kind, event.payment_id, event.amount_minor, event.currency) == (
            EventKind.PAYMENT_SUCCEEDED, made.payment_id, 4900, "EUR",
        )  # fmt: skip
        assert event.provider_payment_id == result.provider_payment_id
        with pytest.raises(InvalidInput):
            await provider.parse_webhook(body, headers, now + timedelta(seconds=302))
        with pytest.raises(InvalidInput):
            await provider.parse_webhook(json.dumps(json.loads(body)).encode(), headers, now)
