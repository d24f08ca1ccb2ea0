"""POST /v1/rerank, /v1/text/search and /v1/text/similarity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.inference.language.ranking.bm25 import shares
from omni.inference.language.ranking.lexical import levenshtein
from omni.inference.language.ranking.scoring import WORDS_WEIGHT
from omni.inference.language.text_vectors import MAX_REQUEST_TOKENS
from tests.inference.backend import Backend, refusal, usage
from tests.inference.language.judged import PASSAGES, QUESTIONS, mean_reciprocal_rank

REFERENCE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data/minilm_reference.json").read_text(encoding="utf-8")
)["cases"]
COSINE_TOLERANCE = 0.02
"""How far a cosine of vectors from 8-bit layers may be from float64's: the mean is 0.005."""


async def post(engines: Backend, path: str, body: object) -> dict[str, Any]:
    response = await engines.post(path, body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_rerank_has_the_shape_that_clients_know(engines: Backend) -> None:
    documents = ["We are open on Sundays.", {"text": "Goods may be returned within 30 days."}, "Our CEO is called Ada."]
    body = {"query": "time limit for sending goods back", "documents": documents, "top_n": 2, "return_documents": True}
    response = await engines.post("/v1/rerank", {**body, "model": "rerank-v3.5"})
    answer = response.json()
    assert answer["results"][0]["index"] == 1
    assert answer["results"][0]["document"] == {"text": "Goods may be returned within 30 days."}
    assert len(answer["results"]) == 2
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert answer["model"] == response.headers["omni-model"] == "all-MiniLM-L6-v2+bm25"
    assert usage(response)["input_tokens"] == answer["usage"]["total_tokens"]
    plain = await post(engines, "/v1/rerank", {**body, "return_documents": False})
    assert plain["results"][0] == {**answer["results"][0], "document": None}


async def test_words_and_meaning_together_rank_better_than_either_alone(engines: Backend) -> None:
    """On the judged set, by the weights that are in use."""
    found: dict[str, float] = {}
    body = {"left": [question for question, _ in QUESTIONS], "right": list(PASSAGES)}
    matrix = (await post(engines, "/v1/text/similarity", body))["matrix"]
    words = [shares(question, PASSAGES, lambda: 1.0) for question, _ in QUESTIONS]
    for name, weight in (("semantic", 0.0), ("hybrid", WORDS_WEIGHT), ("lexical", 1.0)):
        rankings = [
            sorted(range(len(PASSAGES)), key=lambda i: -((1 - weight) * max(0, cosines[i]) + weight * found_words[i]))
            for cosines, found_words in zip(matrix, words, strict=True)
        ]
        found[name] = mean_reciprocal_rank(rankings)
    assert found["hybrid"] >= 0.94
    assert found["hybrid"] > found["semantic"] > found["lexical"]


async def test_the_score_is_made_of_its_legs(engines: Backend) -> None:
    body = {"query": REFERENCE[0]["text"], "texts": [case["text"] for case in REFERENCE[1:4]]}
    hits = {hit["index"]: hit for hit in (await post(engines, "/v1/text/search", body))["hits"]}
    for index, case in enumerate(REFERENCE[1:4]):
        cosine = sum(a * b for a, b in zip(REFERENCE[0]["vector"], case["vector"], strict=True))
        assert hits[index]["cosine"] == pytest.approx(cosine, abs=COSINE_TOLERANCE)
        expected = 0.7 * max(0.0, hits[index]["cosine"]) + 0.3 * hits[index]["words"]
        assert hits[index]["score"] == pytest.approx(expected)


async def test_search_by_words_embeds_nothing_and_leaves_out_what_has_none(engines: Backend) -> None:
    body = {"query": "E-4031 expired", "texts": list(PASSAGES), "mode": "lexical"}
    response = await engines.post("/v1/text/search", body)
    assert response.json()["hits"][0]["index"] == 1
    assert len(response.json()["hits"]) < 5
    assert response.json()["hits"][0]["cosine"] is None
    assert set(usage(response)) == {"compute_ms"}
    assert response.headers["omni-model"] == "bm25"
    assert (await post(engines, "/v1/text/search", {**body, "query": "zebra"}))["hits"] == []


def test_bm25_by_hand() -> None:
    """Two texts of two words, one of which has the query's only word: ln(1 + 1.5/1.5) · 1 · 2.2 / (1 + 1.2)."""
    assert shares("apple", ["apple pie", "plum cake"], lambda: 1.0) == pytest.approx([1 / 2.2, 0.0])
    assert shares("…", ["apple", "…"], lambda: 1.0) == [0.0, 0.0]


async def test_a_long_document_counts_by_its_closest_window(engines: Backend) -> None:
    answer, filler = "The secret word of the castle is marzipan.", "Rain fell on the hills and on the quiet lake. "
    body = {"query": "What is the castle's secret word?", "texts": [answer, filler * 60 + answer], "mode": "semantic"}
    response = await engines.post("/v1/text/search", body)
    first, second = response.json()["hits"]
    assert (first["index"], second["index"]) == (0, 1)
    assert second["cosine"] > 0.3
    assert usage(response)["input_tokens"] > 600


async def test_cosines_are_those_of_the_reference_vectors(engines: Backend) -> None:
    one, other = REFERENCE[0], REFERENCE[1]
    expected = sum(a * b for a, b in zip(one["vector"], other["vector"], strict=True))
    found = await post(engines, "/v1/text/similarity", {"pairs": [[one["text"], other["text"]], [one["text"]] * 2]})
    assert found["scores"] == pytest.approx([expected, 1.0], abs=COSINE_TOLERANCE)
    assert found["model"] == "all-MiniLM-L6-v2"
    square = await post(engines, "/v1/text/similarity", {"left": [one["text"], other["text"]]})
    assert square["matrix"][0] == pytest.approx([1.0, expected], abs=COSINE_TOLERANCE)
    assert square["matrix"][1][0] == square["matrix"][0][1]


async def test_edits_and_shared_words(engines: Backend) -> None:
    pairs = [["kitten", "sitting"], ["Saturday", "Sunday"], ["intention", "execution"]]
    edits = await post(engines, "/v1/text/similarity", {"pairs": pairs, "method": "edit"})
    # Distances 3, 3 (Wikipedia) and 5 (Jurafsky and Martin).
    assert edits["scores"] == pytest.approx([1 - 3 / 7, 1 - 3 / 8, 1 - 5 / 9])
    body = {"left": ["the cat sat"], "right": ["The cat ran", "dogs", "…"], "method": "jaccard"}
    words = await post(engines, "/v1/text/similarity", body)
    assert words["matrix"] == [[0.5, 0.0, 0.0]]
    assert words["model"] == "lexical"


@given(st.text("abc\u0301é", max_size=12), st.text("abcé", max_size=12))
def test_distances_are_those_of_the_textbook(left: str, right: str) -> None:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    assert levenshtein(left, right) == row[-1]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/rerank", {"query": "x", "documents": []}, "invalid_request"),
        ("/v1/rerank", {"query": "", "documents": ["x"]}, "invalid_request"),
        ("/v1/rerank", {"query": "x", "documents": ["x"] * 1001}, "invalid_request"),
        ("/v1/rerank", {"query": "x", "documents": ["x"], "top_n": 0}, "invalid_request"),
        ("/v1/rerank", {"query": "x", "documents": ["x", " \n"]}, "input_empty"),
        ("/v1/rerank", {"query": "\u0000", "documents": ["x"]}, "input_empty"),
        ("/v1/rerank", {"query": "x", "documents": ["e " * 9000] * 16}, "too_many_tokens"),
        ("/v1/text/search", {"query": "x", "texts": [], "mode": "lexical"}, "invalid_request"),
        ("/v1/text/search", {"query": "x", "texts": ["x"], "mode": "magic"}, "invalid_request"),
        ("/v1/text/similarity", {}, "pairs_or_lists"),
        ("/v1/text/similarity", {"right": ["x"]}, "pairs_or_lists"),
        ("/v1/text/similarity", {"pairs": [["a", "b"]], "left": ["x"]}, "pairs_or_lists"),
        ("/v1/text/similarity", {"pairs": [["a"]]}, "invalid_request"),
        ("/v1/text/similarity", {"left": ["x" * 8192] * 6, "method": "edit"}, "too_much_to_compare"),
    ],
)  # fmt: skip
async def test_bad_input_is_refused(engines: Backend, path: str, body: dict[str, object], code: str) -> None:
    refused = await engines.post(path, body)
    assert refusal(refused) == (400, code)
    assert "omni-usage" not in refused.headers


async def test_a_lone_surrogate_is_refused(engines: Backend) -> None:
    content, headers = b'{"query": "\\ud800", "documents": ["x"]}', {"content-type": "application/json"}
    refused = await engines.send("POST", "/v1/rerank", content=content, headers=headers)
    assert refusal(refused) == (400, "invalid_json")


async def test_too_many_tokens_says_how_many(engines: Backend) -> None:
    refused = await engines.post("/v1/rerank", {"query": "x", "documents": ["e " * 9000] * 16})
    assert refused.json()["max_tokens"] == MAX_REQUEST_TOKENS < refused.json()["tokens"]
