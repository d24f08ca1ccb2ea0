"""The unmodified `openai` package against the gateway."""

from __future__ import annotations

import math
from collections.abc import Iterator

import openai
import pytest

from tests.acceptance.platform import Platform

MODEL = "all-MiniLM-L6-v2"
MODERATION = "text-moderation-rules-1"


@pytest.fixture
def client(platform: Platform) -> Iterator[openai.OpenAI]:
    key = platform.first_access["live_key"]
    with openai.OpenAI(base_url=f"{platform.gateway}/v1", api_key=key, max_retries=0) as made:
        yield made


def test_embeddings(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=MODEL, input=["A gateway is fast.", "Foxes jump over dogs."])
    assert [item.index for item in answer.data] == [0, 1]
    assert [len(item.embedding) for item in answer.data] == [384, 384]
    assert math.isclose(sum(x * x for x in answer.data[0].embedding), 1.0, rel_tol=1e-4)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0
    as_floats = client.embeddings.create(model=MODEL, input="A gateway is fast.", encoding_format="float")
    assert as_floats.data[0].embedding == pytest.approx(answer.data[0].embedding, abs=1e-5)


def test_moderations_without_a_provider(client: openai.OpenAI) -> None:
    answer = client.moderations.create(model=MODERATION, input=["Kill the process.", "I will kill you tonight."])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence
    assert not answer.results[1].categories.sexual_minors
    assert MODERATION in [model.id for model in client.models.list()]


def test_models(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="x")
    assert caught.value.code == "model_not_found"
    assert MODEL in str(caught.value)
    assert caught.value.request_id


def test_bad_input_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input=[])


def test_a_wrong_key_is_an_authentication_error(client: openai.OpenAI, platform: Platform) -> None:
    for key in ("sk-nonsense", platform.first_access["live_key"][:-1] + "x"):
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key=key).models.list()
