"""The embeddings classes of LangChain and LlamaIndex, unmodified, against the gateway: the vectors of our endpoint."""

from __future__ import annotations

from pathlib import Path

import llama_index.core
import numpy as np
import pytest
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai import OpenAIEmbedding
from pydantic import SecretStr

from tests.acceptance.platform import Platform

MODEL = "all-MiniLM-L6-v2"
TEXTS = ["A gateway is fast.", "Foxes 🦊 jump over dogs.", "Čebela leti na Ødegård."]
CLOSE = 1e-6


@pytest.fixture
def expected(platform: Platform) -> np.ndarray:
    """What our endpoint gives for the texts themselves."""
    with platform.api() as client:
        answer = client.post("/v1/embeddings", json={"model": MODEL, "input": TEXTS}).raise_for_status().json()
    return np.array([item["embedding"] for item in answer["data"]])


@pytest.fixture
def _vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """cl100k_base from LlamaIndex' package, where tiktoken looks before it would download it."""
    folder = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))


def cosines(found: list[list[float]], expected: np.ndarray) -> np.ndarray:
    vectors = np.array(found)
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    return np.asarray((vectors * expected).sum(axis=1) / norms)


@pytest.mark.usefixtures("_vocabulary")
def test_langchain_sends_token_ids_and_gets_the_vectors_of_the_texts(platform: Platform, expected: np.ndarray) -> None:
    key = SecretStr(platform.first_access["live_key"])
    client = OpenAIEmbeddings(
        model=MODEL, openai_api_base=f"{platform.gateway}/v1", openai_api_key=key,
        max_retries=0,
    )  # fmt: skip
    assert client.check_embedding_ctx_length, "its default, by which it sends ids of cl100k_base"
    assert cosines(client.embed_documents(TEXTS), expected) == pytest.approx(1, abs=CLOSE)
    assert cosines([client.embed_query(TEXTS[1])], expected[1:2]) == pytest.approx(1, abs=CLOSE)


def test_langchain_sends_texts_when_told_to(platform: Platform, expected: np.ndarray) -> None:
    key = SecretStr(platform.first_access["live_key"])
    client = OpenAIEmbeddings(
        model=MODEL, openai_api_base=f"{platform.gateway}/v1", openai_api_key=key,
        check_embedding_ctx_length=False, max_retries=0,
    )  # fmt: skip
    assert cosines(client.embed_documents(TEXTS), expected) == pytest.approx(1, abs=CLOSE)


@pytest.mark.usefixtures("_vocabulary")
def test_llama_index(platform: Platform, expected: np.ndarray) -> None:
    client = OpenAIEmbedding(
        model_name=MODEL, api_base=f"{platform.gateway}/v1", api_key=platform.first_access["live_key"], max_retries=0
    )
    assert cosines(client.get_text_embedding_batch(TEXTS), expected) == pytest.approx(1, abs=CLOSE)
    assert cosines([client.get_query_embedding(TEXTS[0])], expected[:1]) == pytest.approx(1, abs=CLOSE)
