"""Answers that a model writes: what it was given, what of it is kept, and what happens when it cannot be asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest
from prometheus_client import CollectorRegistry

from omni.apps.backend import backend_routers
from omni.foundation.db.sessions import Database
from omni.foundation.objects import ObjectStore
from omni.inference.calling import Reply
from omni.inference.retrieval.grounding import Statement, read_statements, supports
from omni.inference.runtime.pool import EnginePool
from omni.inference.settings import InferenceSettings
from omni.kit.clock import SystemClock
from omni.kit.errors import Unavailable
from omni.kit.ids import uuid7
from omni.telemetry.inference_metrics import InferenceMetrics
from tests.inference.backend import Backend, backend, refusal
from tests.inference.retrieval.conftest import GARDEN, LIBRARY

DIGEST = "ab" * 32


@dataclass
class Writer:
    """A model that writes what the test says, by passages' own numbers: `{garden}` and `{library}` in the text."""

    text: str = ""
    reply: Reply | None = None
    asked: list[tuple[str, dict[str, Any], str, UUID]] = field(default_factory=list)

    async def ask(self, path: str, body: dict[str, Any], key_digest: str, request_id: UUID, seconds: float) -> Reply:
        assert 0 < seconds <= 120
        self.asked.append((path, body, key_digest, request_id))
        if self.reply is not None:
            return self.reply
        sources = body["messages"][0]["content"]
        numbers = {name: _number_of(sources, file) for name, file in _FILES.items()}
        content = self.text.format(**numbers)
        return Reply(200, orjson.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}), None)


_FILES = {"garden": "garden.md", "library": "library.txt"}


def _number_of(sources: str, file: str) -> str:
    return next((line[1 : line.index("]")] for line in sources.splitlines() if line.endswith(f"] {file}")), "99")


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def tenant(
    inference_settings: InferenceSettings, engine_pool: EnginePool, database: Database, objects: ObjectStore,
    writer: Writer,
) -> Backend:  # fmt: skip
    metrics = InferenceMetrics(CollectorRegistry())
    routers = backend_routers(inference_settings, database, engine_pool, objects, SystemClock(), metrics, writer)
    return dataclasses.replace(backend(routers), tenant_id=uuid7(), key_digest=DIGEST)


async def ask(tenant: Backend, collection: str, question: str, **fields: Any) -> dict[str, Any]:
    response = await tenant.post(f"{collection}/answer", {"question": question, "model": "writer", **fields})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_each_statement_is_cited_by_the_sentence_that_supports_it(
    tenant: Backend, collection: str, writer: Writer
) -> None:
    writer.text = "A yearly ticket costs forty euros [{garden}]. Books can be kept for four weeks. [{library}]"
    body = await ask(tenant, collection, "What do tickets cost, and how long may I keep a book?")
    assert body["answer"] == "A yearly ticket costs forty euros. Books can be kept for four weeks."
    assert (body["found"], body["model"]) == (True, "writer")
    texts = {"garden.md": GARDEN, "library.txt": LIBRARY}
    for citation in body["citations"]:
        assert texts[citation["document_name"]][citation["start"] : citation["end"]] == citation["sentence"]
    assert [citation["sentence"] for citation in body["citations"]] == [
        "A yearly ticket costs forty euros.", "Books may be borrowed for four weeks.",
    ]  # fmt: skip
    assert [each["citation"] for each in body["statements"]] == [0, 1]


async def test_it_is_asked_for_the_key_with_the_passages_and_the_conversation(
    tenant: Backend, collection: str, writer: Writer
) -> None:
    writer.text = "Children under twelve enter free of charge [{garden}]."
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"}]
    await ask(tenant, collection, "What do children pay in the garden?", history=history)
    ((path, body, digest, request_id),) = writer.asked
    assert (path, body["model"], digest) == ("/v1/chat/completions", "writer", DIGEST)
    assert request_id.version == 7
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert "Children under twelve enter free of charge." in body["messages"][0]["content"]


async def test_what_no_passage_says_is_left_out(tenant: Backend, collection: str, writer: Writer) -> None:
    writer.text = (
        "A yearly ticket costs forty euros [{garden}]. The garden was founded by monks [{garden}]. "
        "Late returns cost 55 cents for each day [{library}]."
    )
    body = await ask(tenant, collection, "What does a yearly ticket cost?")
    assert body["answer"] == "A yearly ticket costs forty euros."
    assert [each["citation"] for each in body["statements"]] == [0, None, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NOT_FOUND", "not_in_the_passages"),
        ("  not_found.", "not_in_the_passages"),
        ("", "not_in_the_passages"),
        ("The moon is made of cheese [1].", "not_supported"),
        ("A yearly ticket costs forty euros [77].", "not_supported"),
    ],
)
async def test_nothing_found_is_said(tenant: Backend, collection: str, writer: Writer, text: str, reason: str) -> None:
    writer.text = text
    body = await ask(tenant, collection, "What is the moon made of?")
    assert (body["found"], body["answer"], body["citations"], body["reason"]) == (False, None, [], reason)


async def test_an_empty_collection_asks_nobody(tenant: Backend, writer: Writer) -> None:
    made = await tenant.post("/v1/collections", {"name": "empty"})
    body = await ask(tenant, f"/v1/collections/{made.json()['id']}", "Anything?")
    assert (body["reason"], writer.asked) == ("collection_empty", [])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(404, b'{"error":{"code":"model_not_found","message":"There is no model writer."}}', None), 400),
        (Reply(429, b'{"error":{"code":"insufficient_quota","message":"Raise it."}}', 9), 429),
        (Reply(503, b'{"error":{"code":"overloaded","message":"Later."}}', 1), 502),
        (Reply(200, b'{"choices":[]}', None), 502),
        (Reply(200, b"not JSON", None), 502),
    ],
)
async def test_a_model_that_gives_no_answer(
    tenant: Backend, collection: str, writer: Writer, reply: Reply, expected: int
) -> None:
    writer.reply = reply
    response = await tenant.post(f"{collection}/answer", {"question": "What?", "model": "writer"})
    assert response.status_code == expected, response.text
    if expected == 429:
        assert (response.headers["retry-after"], response.json()["code"]) == ("9", "generation_limited")
    if expected == 400:
        assert "There is no model writer." in response.json()["detail"]


async def test_a_gateway_that_is_away(
    tenant: Backend, collection: str, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object) -> Reply:
        raise Unavailable("gateway_unavailable", "The gateway cannot be reached.")

    monkeypatch.setattr(writer, "ask", away)
    response = await tenant.post(f"{collection}/answer", {"question": "What?", "model": "writer"})
    assert refusal(response) == (503, "gateway_unavailable")


async def test_without_a_gateway_it_says_what_to_configure(stored: Backend) -> None:
    mine = dataclasses.replace(stored, tenant_id=uuid7(), key_digest=DIGEST)
    made = await mine.post("/v1/collections", {"name": "c"})
    path = f"/v1/collections/{made.json()['id']}"
    await mine.send("POST", f"{path}/documents", files={"file": ("a.txt", b"Cats sleep.")})
    response = await mine.post(f"{path}/answer", {"question": "Who sleeps?", "model": "writer"})
    assert refusal(response) == (501, "generation_not_configured")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "One fact [1]. Another fact. [2, 3] A third",
            [("One fact.", (1,)), ("Another fact.", (2, 3)), ("A third.", ())],
        ),
        ("Both [1][2] of them.", [("Both of them.", (1, 2))]),
        ("- A list [1]\n- of two. [2]", [("A list.", (1,)), ("of two.", (2,))]),
        ("[1]", []),
        ("It costs 3.50 [4]!", [("It costs 3.50!", (4,))]),
    ],
)
def test_statements_are_read_with_their_marks(text: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert [(each.text, each.sources) for each in read_statements(text)] == expected


def test_numbers_must_be_in_the_passage() -> None:
    one = np.ones((1, 1), np.float32)
    candidates, passages = [(1, "It costs 40 euros.")], ["It costs 40 euros."]

    def supported(text: str, sources: Sequence[int] = ()) -> bool:
        return supports([Statement(text, tuple(sources))], candidates, passages, (one, one))[0] is not None

    assert supported("It costs 40 euros.", [1])
    assert supported("It costs 40 euros.")
    assert not supported("It costs 400 euros.", [1])
    assert not supported("It costs 40 euros.", [2])
    assert supports([Statement("x", ())], [], [], (one, one)) == [None]
