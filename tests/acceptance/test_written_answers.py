"""A collection's answers written by a chat model that the operator routes: grounded, cited, and billed once each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.acceptance.ai_operations_retrieval import GARDEN, TICKET, a_collection
from tests.acceptance.chat_provider import READ, UPSTREAM, WRITTEN, routed
from tests.acceptance.platform import Platform, until
from tests.acceptance.test_isolation_api import Neighbour, session, sign_up

MODEL = "house-writer"
CHAT, ANSWER = "POST /v1/chat/completions", "POST /v1/collections/{collection_id}/answer"
QUESTION = "What does a yearly ticket cost?"


@dataclass
class Writer:
    """A model that writes what the test says; `{garden}` is the number of that passage."""

    text: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def write(self, request: dict[str, Any]) -> str:
        self.asked.append(request)
        sources = request["messages"][0]["content"].splitlines()
        number = next(line[1 : line.index("]")] for line in sources if line.endswith("] garden.md"))
        return self.text.format(garden=number)


@pytest.fixture
def writer(platform: Platform) -> Iterator[Writer]:
    """Routed by the operator under the name MODEL."""
    made = Writer()
    with routed(platform, MODEL, made.write):
        yield made


@pytest.fixture
def tenant(platform: Platform) -> Neighbour:
    """Someone whose usage is the test's alone."""
    return sign_up(platform)


def answer(platform: Platform, tenant: Neighbour, writer: Writer, text: str) -> dict[str, Any]:
    writer.text = text
    with platform.api(tenant.key) as client:
        path = f"/v1/collections/{a_collection(client)['collection_id']}/answer"
        response = client.post(path, json={"question": QUESTION, "model": MODEL})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def used(control: httpx2.Client, tenant: Neighbour, meter: str, by: str) -> dict[str, tuple[int, int]]:
    """Quantity and events by a dimension, as the usage report shows them."""
    path = f"/api/tenants/{tenant.ids['tenant_id']}/usage"
    response = control.get(path, params={"meter": meter, "group_by": by})
    assert response.status_code == 200, response.text
    return {each["group"]: (each["quantity"], each["events"]) for each in response.json()["data"]}


def test_what_the_model_writes_is_cited_and_both_requests_are_billed_once(
    platform: Platform, tenant: Neighbour, writer: Writer
) -> None:
    body = answer(
        platform, tenant, writer,
        "A yearly ticket costs forty euros [{garden}]. The garden was founded by monks [{garden}].",
    )  # fmt: skip
    assert (body["found"], body["answer"], body["model"]) == (True, TICKET, MODEL)
    (citation,) = body["citations"]
    assert citation["document_name"] == "garden.md"
    assert citation["sentence"] == GARDEN[citation["start"] : citation["end"]] == TICKET
    assert [statement["citation"] for statement in body["statements"]] == [0, None], "nobody says who founded it"
    (asked,) = writer.asked
    assert asked["model"] == UPSTREAM
    assert asked["messages"][-1] == {"role": "user", "content": QUESTION}

    with session(platform, tenant.session) as control:
        until(lambda: CHAT in used(control, tenant, "requests", "endpoint"), 20, "the model's request on the report")
        requests = used(control, tenant, "requests", "endpoint")
        assert (requests[CHAT], requests[ANSWER]) == ((1, 1), (1, 1))
        assert used(control, tenant, "output_tokens", "endpoint") == {CHAT: (WRITTEN, 1)}
        read = used(control, tenant, "input_tokens", "endpoint")
        assert read[CHAT] == (READ, 1)
        assert read[ANSWER][0] > 0, "what was embedded to find and to check"
        assert read[ANSWER][1] == 1
        assert used(control, tenant, "input_tokens", "model")[MODEL] == (READ, 1)
    assert platform.command("verify", "--json").returncode == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [("NOT_FOUND", "not_in_the_passages"), ("The ticket was designed by a painter [{garden}].", "not_supported")],
)
def test_what_the_sources_do_not_say_is_not_found(
    platform: Platform, tenant: Neighbour, writer: Writer, text: str, reason: str
) -> None:
    body = answer(platform, tenant, writer, text)
    assert (body["found"], body["answer"], body["citations"], body["reason"]) == (False, None, [], reason)
    with session(platform, tenant.session) as control:
        until(lambda: CHAT in used(control, tenant, "requests", "endpoint"), 20, "the model's request on the report")
        assert used(control, tenant, "output_tokens", "endpoint") == {CHAT: (WRITTEN, 1)}
