"""Subscriptions: double opt-in, unsubscribing, signed webhooks, retries, what is refused, what a restart keeps."""

from __future__ import annotations

import email
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import policy

import httpx2
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omni.apps.embedded.launch import free_port
from omni.apps.web import WebServer
from omni.domains.status.repository.subscriptions import DeliveryQueue
from omni.domains.status.service.incidents import NewIncident
from omni.domains.status.service.subscriptions import PER_CALLER, PER_MAILBOX
from omni.foundation.webhooks import PAUSES, signature
from tests.domains.status.conftest import Site
from tests.domains.status.shape import Incident

LINK = re.compile(r"http://status\.test(/subscriptions/\S+)")


def report(site: Site, name: str = "Slow answers") -> str:
    return site.services.portal.incidents.open(NewIncident(name, "We look.", component_ids=("api",))).incident_id


def text_of(mail: str) -> tuple[str, str, str]:
    """Recipient, subject, body."""
    parsed = email.message_from_string(mail, policy=policy.default)
    return parsed["To"], parsed["Subject"], parsed.get_content()


async def subscribed(site: Site, client: httpx2.AsyncClient, address: str = "ana@example.com", lang: str = "en") -> str:
    """Subscribes and confirms; the path of the link to unsubscribe."""
    assert (await client.post("/subscriptions", json={"email": address, "language": lang})).status_code == 202
    await site.deliver()
    link = LINK.findall(text_of(site.mails()[-1])[2])[0]
    assert (await client.post(link)).status_code == 200
    return str(link).replace("/confirm", "/unsubscribe")


async def test_an_address_counts_only_once_its_link_was_confirmed(site: Site, client: httpx2.AsyncClient) -> None:
    await client.post("/subscriptions", json={"email": "Ana@Example.com"})
    report(site)
    assert await site.deliver() == 1
    to, subject, body = text_of(site.mails()[0])
    assert (to, subject) == ("ana@example.com", "Confirm your subscription to Omni status")
    link = LINK.findall(body)[0]
    asked = await client.get(link)
    assert '<form method="post"' in asked.text
    report(site)
    assert await site.deliver() == 0, "looking at the link confirms nothing"
    assert "You are subscribed" in (await client.post(link)).text
    incident = report(site, "Now it counts")
    assert await site.deliver() == 1
    _, subject, body = text_of(site.mails()[-1])
    assert subject == "[Investigating] Now it counts"
    assert "Affects: API" in body
    assert f"http://status.test/incidents/{incident}" in body
    unsubscribe = LINK.findall(body)[0]
    await client.get(unsubscribe)
    site.services.portal.incidents.update(incident, "Found.", None)
    assert "no more updates" in (await client.post(unsubscribe)).text
    assert await site.deliver() == 0, "what was queued goes with the subscription"
    assert (await client.post(unsubscribe)).status_code == 404


async def test_mail_speaks_the_readers_language(site: Site, client: httpx2.AsyncClient) -> None:
    await subscribed(site, client, lang="sl")
    report(site)
    await site.deliver()
    subjects = [text_of(mail)[1] for mail in site.mails()]
    assert subjects == ["Potrdite prijavo na obvestila o stanju sistema Omni", "[Raziskujemo] Slow answers"]


async def test_nobody_learns_who_is_subscribed(site: Site, client: httpx2.AsyncClient) -> None:
    await subscribed(site, client)
    again = await client.post("/subscriptions", json={"email": "ana@example.com"})
    other = await client.post("/subscriptions", json={"email": "bor@example.com"})
    assert (again.status_code, again.content) == (other.status_code, other.content)
    assert await site.deliver() == 1


async def test_one_mailbox_is_not_flooded(site: Site, client: httpx2.AsyncClient) -> None:
    for _ in range(PER_MAILBOX + 2):
        assert (await client.post("/subscriptions", json={"email": "ana@example.com"})).status_code == 202
    assert await site.deliver() == PER_MAILBOX


async def test_one_caller_is_limited_even_after_a_restart(site: Site, client: httpx2.AsyncClient) -> None:
    for number in range(PER_CALLER):
        await client.post("/subscriptions", json={"email": f"a{number}@example.com"})
    site.restart()
    with pytest.raises(Exception, match="Too many"):
        site.services.portal.subscriptions.subscribe_email("z@example.com", "en", "127.0.0.1")
    site.clock.advance(timedelta(hours=1, seconds=1))
    site.services.portal.subscriptions.subscribe_email("z@example.com", "en", "127.0.0.1")


async def test_the_limit_answers_429(client: httpx2.AsyncClient) -> None:
    answers = [await client.post("/subscriptions", json={"email": "no address"}) for _ in range(PER_CALLER)]
    assert {answer.status_code for answer in answers} == {400}
    for number in range(PER_CALLER):
        await client.post("/subscriptions", json={"email": f"a{number}@example.com"})
    last = await client.post("/subscriptions", json={"email": "b@example.com"})
    assert (last.status_code, last.json()["code"]) == (429, "rate_limit_exceeded")
    assert int(last.headers["retry-after"]) > 0


async def test_addresses_that_were_never_confirmed_are_forgotten(site: Site, client: httpx2.AsyncClient) -> None:
    await client.post("/subscriptions", json={"email": "ana@example.com"})
    await site.deliver()
    site.clock.advance(timedelta(days=7, seconds=1))
    site.services.portal.subscriptions.forget_old()
    assert (await client.get(LINK.findall(text_of(site.mails()[0])[2])[0])).status_code == 404


@dataclass
class Receiver:
    """A webhook's other end on the loopback."""

    url: str
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        status = self.answers.pop(0) if self.answers else 204
        return Response(status_code=status, headers={"Location": "/other"} if status == 302 else None)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    port = free_port()
    made = Receiver(f"http://127.0.0.1:{port}/hook")
    server = WebServer(Starlette(routes=[Route("/hook", made.take, methods=["POST"])]), "127.0.0.1", port, 1)
    await server.start()
    yield made
    await server.stop()


async def test_a_webhook_is_signed_and_tried_again(site: Site, client: httpx2.AsyncClient, receiver: Receiver) -> None:
    made = (await client.post("/subscriptions", json={"url": receiver.url})).json()
    site.all_up()
    report(site)
    receiver.answers = [500, 302, 204]
    for pause in PAUSES[:2]:
        assert await site.deliver() == 1
        assert await site.deliver() == 0, "not before the pause is over"
        site.restart()
        site.clock.advance(pause)
    assert await site.deliver() == 1
    site.clock.advance(timedelta(days=2))
    assert await site.deliver() == 0
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    for headers, body in receiver.got:
        key = b64decode(made["secret"].removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        assert b64decode(headers["webhook-signature"].removeprefix("v1,")) == digest
        Incident.model_validate(orjson.loads(body)["incident"])
    assert receiver.got[0][0]["webhook-timestamp"] != receiver.got[1][0]["webhook-timestamp"]
    traces = [headers["traceparent"].split("-")[1:3] for headers, _ in receiver.got]
    calls = [call for _, call in site.kept.parts]
    assert traces == [[f"{call.trace_id:032x}", f"{call.span_id:016x}"] for call in calls]
    assert [call.attributes["http.response.status_code"] for call in calls] == [500, 302, 204]
    assert [root.is_error for root, _ in site.kept.parts] == [True, True, False]


def test_a_signature_is_that_of_the_specification() -> None:
    """The example of standardwebhooks.com's libraries."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265331, body) != expected


async def test_a_delivery_is_given_up_after_its_last_pause(
    site: Site, client: httpx2.AsyncClient, receiver: Receiver
) -> None:
    await client.post("/subscriptions", json={"url": receiver.url})
    report(site)
    receiver.answers = [503] * 20
    for pause in (*PAUSES, timedelta(days=9)):
        assert await site.deliver() == 1
        site.clock.advance(pause)
    assert DeliveryQueue(site.services.file).waiting() == 0
    assert len(receiver.got) == len(PAUSES) + 1


async def test_a_receiver_that_is_gone_is_unsubscribed(
    site: Site, client: httpx2.AsyncClient, receiver: Receiver
) -> None:
    await client.post("/subscriptions", json={"url": receiver.url})
    receiver.answers = [410]
    report(site)
    await site.deliver()
    report(site)
    assert await site.deliver() == 0
    assert (await client.post("/subscriptions", json={"url": receiver.url})).status_code == 201


async def test_the_secret_of_a_webhook_cannot_be_had_again(client: httpx2.AsyncClient, receiver: Receiver) -> None:
    first = await client.post("/subscriptions", json={"url": receiver.url})
    again = await client.post("/subscriptions", json={"url": receiver.url})
    assert first.json()["secret"].startswith("whsec_")
    assert (again.status_code, again.json()["code"]) == (409, "already_subscribed")
    assert (await client.post(first.json()["unsubscribe_url"])).status_code == 200
    assert (await client.post("/subscriptions", json={"url": receiver.url})).status_code == 201


async def test_an_update_and_its_deliveries_stand_or_fall_together(
    site: Site, client: httpx2.AsyncClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post("/subscriptions", json={"url": receiver.url})

    def broken(*_given: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(DeliveryQueue, "add_update", broken)
    with pytest.raises(OSError, match="disk full"):
        report(site)
    assert site.services.portal.overview.overview().incidents == ()


async def test_forms_work_without_scripts(site: Site, client: httpx2.AsyncClient, receiver: Receiver) -> None:
    sent = await client.post("/subscriptions?lang=sl", data={"email": "ana@example.com"})
    assert (sent.status_code, "Preverite e-pošto" in sent.text) == (202, True)
    hook = await client.post("/subscriptions", data={"url": receiver.url})
    assert "whsec_" in hook.text
    wrong = await client.post("/subscriptions", data={"email": "<b>"})
    assert (wrong.status_code, "not an e-mail address" in wrong.text) == (400, True)


@pytest.mark.parametrize("body", [{}, {"email": "a@b.c", "url": "https://x"}, {"mail": "a@b.c"}, []])
async def test_a_subscription_is_one_of_two(client: httpx2.AsyncClient, body: object) -> None:
    assert (await client.post("/subscriptions", json=body)).json()["code"] == "invalid_request"
