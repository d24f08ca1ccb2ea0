"""POST /v1/text/tokens and /v1/text/chunk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.language.splitting.bpe import Bpe
from omni.inference.language.splitting.cutting import by_headings, by_sentences, by_tokens, fitting
from tests.inference.backend import Backend, refusal, usage

TOKENS, CHUNK = "/v1/text/tokens", "/v1/text/chunk"
REFERENCE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data/minilm_reference.json").read_text(encoding="utf-8")
)["cases"]
MANUAL = (
    "Preface without a heading.\n\n# Returns\n\nGoods may come back within 30 days. Keep the receipt! Ask us.\n\n"
    "# Shipping\n\n## Europe\n\nWe ship daily. It takes 🎉 two days. Customs are paid by us."
)


async def post(engines: Backend, path: str, body: object) -> dict[str, Any]:
    response = await engines.post(path, body)
    assert response.status_code == 200, response.text
    assert set(usage(response)) == {"compute_ms"}
    answer: dict[str, Any] = response.json()
    return answer


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        # OpenAI's cookbook, "How to count tokens with tiktoken", and tiktoken's README.
        ("cl100k_base", {"antidisestablishmentarianism": 6, "2 + 2 = 4": 7, "お誕生日おめでとう": 9, "hello world": 2}),
        ("o200k_base", {"antidisestablishmentarianism": 6, "2 + 2 = 4": 7, "お誕生日おめでとう": 8, "hello world": 2}),
    ],
)
async def test_counts_are_the_published_ones(engines: Backend, tokenizer: str, expected: dict[str, int]) -> None:
    answer = await post(engines, TOKENS, {"texts": [*expected, ""], "tokenizer": tokenizer})
    assert [result["tokens"] for result in answer["results"]] == [*expected.values(), 0]
    assert answer["total"] == sum(expected.values())
    assert all(result["ids"] is None for result in answer["results"])


async def test_ids(engines: Backend) -> None:
    known = await post(engines, TOKENS, {"texts": ["tiktoken is great!"], "tokenizer": "cl100k_base", "ids": True})
    assert known["results"] == [{"tokens": 6, "ids": [83, 1609, 5963, 374, 2294, 0]}]  # the cookbook again
    own = await post(engines, TOKENS, {"texts": [REFERENCE[0]["text"]], "tokenizer": "all-MiniLM-L6-v2", "ids": True})
    assert own["results"] == [{"tokens": len(REFERENCE[0]["ids"]), "ids": REFERENCE[0]["ids"]}]


async def test_what_spells_a_special_token_is_text(engines: Backend) -> None:
    answer = await post(engines, TOKENS, {"texts": ["<|endoftext|>"]})
    assert answer["total"] > 1


async def test_chunks_by_headings(engines: Backend) -> None:
    answer = await post(engines, CHUNK, {"text": MANUAL, "by": "headings", "overlap_tokens": 0})
    assert [(chunk["heading"], chunk["text"].split("\n")[0]) for chunk in answer["chunks"]] == [
        (None, "Preface without a heading."),
        ("Returns", "# Returns"),
        ("Shipping", "# Shipping"),
    ]
    assert all(MANUAL[chunk["start"] : chunk["end"]] == chunk["text"] for chunk in answer["chunks"])


@pytest.mark.parametrize("tokenizer", ["cl100k_base", "o200k_base", "all-MiniLM-L6-v2"])
@pytest.mark.parametrize("by", ["sentences", "tokens", "headings"])
async def test_chunks_keep_everything_within_their_size(engines: Backend, tokenizer: str, by: str) -> None:
    text = MANUAL + "\n\n" + "Many words follow one another here. " * 20 + "x" * 700 + " Žužemberk😀 " * 10
    body = {"text": text, "by": by, "tokenizer": tokenizer, "max_tokens": 24, "overlap_tokens": 8}
    answer = await post(engines, CHUNK, body)
    covered = {place for chunk in answer["chunks"] for place in range(chunk["start"], chunk["end"])}
    assert all(letter.isspace() for place, letter in enumerate(text) if place not in covered)
    assert all(chunk["tokens"] <= 24 for chunk in answer["chunks"])
    texts = [chunk["text"] for chunk in answer["chunks"]]
    counted = await post(engines, TOKENS, {"texts": texts, "tokenizer": tokenizer})
    frame = 2 if tokenizer == "all-MiniLM-L6-v2" else 0
    assert [chunk["tokens"] + frame for chunk in answer["chunks"]] == [r["tokens"] for r in counted["results"]]


async def test_runs_of_tokens_overlap_by_what_was_asked_for(engines: Backend) -> None:
    text = " ".join(["word"] * 100)
    body = {"text": text, "by": "tokens", "max_tokens": 40, "overlap_tokens": 10, "texts": False}
    answer = await post(engines, CHUNK, body)
    assert [chunk["tokens"] for chunk in answer["chunks"]] == [40, 40, 40]
    assert [chunk["start"] for chunk in answer["chunks"]] == [0, 150, 300]
    assert answer["chunks"][0]["text"] is None


@given(
    st.lists(st.sampled_from(["Go on. ", "# T\n", "\n\n", "long " * 9, "ž", "😀", "x" * 40, " "]), max_size=20).map(
        "".join
    ),
    st.integers(3, 30),
    st.sampled_from([by_tokens, by_sentences, by_headings]),
)
def test_nothing_is_lost(text: str, most: int, way: Any) -> None:
    bpe = BPE
    spans = bpe.spans("cl100k_base", text, lambda: 1.0)
    assert len(spans) == bpe.count("cl100k_base", text)
    cut = fitting(text, way(text, spans, most, most // 3), most, lambda part: bpe.count("cl100k_base", part))
    covered = {place for span, _ in cut for place in range(span.start, span.end)}
    assert all(letter.isspace() for place, letter in enumerate(text) if place not in covered)
    assert all(tokens <= most or span.end - span.start == 1 for span, tokens in cut)
    assert [span.start for span, _ in cut] == sorted(span.start for span, _ in cut)


BPE = Bpe()


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (TOKENS, {"texts": []}, "invalid_request"),
        (TOKENS, {"texts": ["x"], "tokenizer": "gpt2"}, "invalid_request"),
        (TOKENS, {"texts": ["x" * 500_000] * 3}, "text_too_long"),
        (CHUNK, {"text": ""}, "invalid_request"),
        (CHUNK, {"text": " \n"}, "input_empty"),
        (CHUNK, {"text": "x", "max_tokens": 20, "overlap_tokens": 11}, "invalid_request"),
        (CHUNK, {"text": "x", "max_tokens": 15}, "invalid_request"),
        (CHUNK, {"text": "x", "by": "pages"}, "invalid_request"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, path: str, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(path, body)) == (400, code)
