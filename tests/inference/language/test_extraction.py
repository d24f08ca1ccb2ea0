"""POST /v1/text/keywords and /v1/text/summarize."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omni.inference.language.extraction.candidates import MAX_CANDIDATES, candidates
from omni.inference.language.extraction.centrality import lexrank
from tests.inference.backend import Backend, refusal, usage

# The example of KeyBERT's README.
LEARNING = (
    "Supervised learning is the machine learning task of learning a function that maps an input to an output based on "
    "example input-output pairs. It infers a function from labeled training data consisting of a set of training "
    "examples. In supervised learning, each example is a pair consisting of an input object (typically a vector) and a "
    "desired output value (also called the supervisory signal). A supervised learning algorithm analyzes the training "
    "data and produces an inferred function, which can be used for mapping new examples. An optimal scenario will "
    "allow for the algorithm to correctly determine the class labels for unseen instances. This requires the learning "
    "algorithm to generalize from the training data to unseen situations in a 'reasonable' way (see inductive bias)."
)
STORY = (
    "# Energy\n\nSolar panels turn sunlight into electricity. My neighbour owns a brown dog. A household can sell the "
    "solar electricity that it does not use. Batteries keep electricity for the night.\n\nPrices of solar panels have "
    "fallen for years. Solar panels turn sunlight into electricity."
)


async def post(engines: Backend, path: str, body: object) -> dict[str, Any]:
    response = await engines.post(path, body)
    assert response.status_code == 200, response.text
    assert usage(response)["input_tokens"] > 0
    answer: dict[str, Any] = response.json()
    return answer


async def test_keywords_of_keyberts_example(engines: Backend) -> None:
    answer = await post(engines, "/v1/text/keywords", {"text": LEARNING, "max_words": 2, "diversity": 0, "top_k": 5})
    found = {keyword["keyword"].casefold(): keyword for keyword in answer["keywords"]}
    assert "supervised learning" in found
    assert list(found)[:3] == ["supervised learning", "supervised", "labeled training"]
    scores = [keyword["score"] for keyword in answer["keywords"]]
    assert scores == sorted(scores, reverse=True)
    spans = found["supervised learning"]["occurrences"]
    places = [index for index in range(len(LEARNING)) if LEARNING[index:].casefold().startswith("supervised learning")]
    assert [span["start"] for span in spans] == places
    assert {LEARNING[span["start"] : span["end"]].casefold() for span in spans} == {"supervised learning"}


async def test_diversity_spreads_keywords(engines: Backend) -> None:
    text = "Solar panel prices fall. A solar panel roof. Cheap solar panel. The brown dog chased a cat."
    # The order of the cosines, and what remains of it when closeness to chosen ones counts nine times as much.
    alike = await post(engines, "/v1/text/keywords", {"text": text, "top_k": 3, "diversity": 0})
    apart = await post(engines, "/v1/text/keywords", {"text": text, "top_k": 3, "diversity": 0.9})
    first, *others = [keyword["keyword"] for keyword in alike["keywords"]]
    assert first == "Cheap solar panel"
    assert set(others) == {"Solar panel prices", "panel prices fall"}  # whose cosines are 0.002 apart
    assert [keyword["keyword"] for keyword in apart["keywords"]][:2] == ["Cheap solar panel", "brown dog chased"]


def test_candidates_have_no_stop_word_at_an_edge_and_cross_no_punctuation() -> None:
    found = candidates("The lake of Bled. Bled castle, 7 swans", 3, ["castle"], lambda: 1.0)
    assert found == {"bled": [(12, 16), (18, 22)], "lake": [(4, 8)], "lake of bled": [(4, 16)], "swans": [(33, 38)]}


def test_candidates_are_bounded() -> None:
    text = " ".join(f"word{number:05d}x" for number in range(5_000))
    assert len(candidates(text, 4, [], lambda: 1.0)) == MAX_CANDIDATES


async def test_a_text_without_phrases_has_no_keywords(engines: Backend) -> None:
    answer = await post(engines, "/v1/text/keywords", {"text": "to be or not to be 42"})
    assert (answer["keywords"], answer["candidates"]) == ([], 0)


async def test_a_summary_is_made_of_exact_sentences_in_order(engines: Backend) -> None:
    answer = await post(engines, "/v1/text/summarize", {"text": STORY, "sentences": 5})
    for sentence in answer["sentences"]:
        assert STORY[sentence["start"] : sentence["end"]] == sentence["text"]
    assert [s["start"] for s in answer["sentences"]] == sorted(s["start"] for s in answer["sentences"])
    assert answer["sentence_count"] == 6
    # The last sentence repeats the first; the heading is none.
    assert len(answer["sentences"]) == 5
    worst = max(answer["sentences"], key=lambda sentence: int(sentence["rank"]))
    assert worst["text"] == "My neighbour owns a brown dog."
    assert answer["summary"] == " ".join(sentence["text"] for sentence in answer["sentences"])


@pytest.mark.parametrize("method", ["lexrank", "centroid"])
async def test_what_stands_apart_is_left_out(engines: Backend, method: str) -> None:
    answer = await post(engines, "/v1/text/summarize", {"text": STORY, "ratio": 0.5, "method": method})
    assert len(answer["sentences"]) == 3
    assert "dog" not in answer["summary"]


def test_lexrank_is_the_stationary_distribution() -> None:
    """Against the solution of the linear equations."""
    vectors = np.random.default_rng(7).normal(size=(12, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = np.clip(vectors @ vectors.T, 0, 1)
    steps = weights / weights.sum(axis=1, keepdims=True)
    expected = np.linalg.solve(np.eye(12) - 0.85 * steps.T, np.full(12, 0.15 / 12))
    assert lexrank(vectors) == pytest.approx(expected, abs=1e-7)
    assert lexrank(vectors).sum() == pytest.approx(1.0)


async def test_a_heading_alone_is_its_own_summary(engines: Backend) -> None:
    answer = await post(engines, "/v1/text/summarize", {"text": "Annual report"})
    assert answer["summary"] == "Annual report"
    assert answer["sentences"][0]["score"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/text/keywords", {"text": ""}, "invalid_request"),
        ("/v1/text/keywords", {"text": " "}, "input_empty"),
        ("/v1/text/keywords", {"text": "x", "top_k": 0}, "invalid_request"),
        ("/v1/text/keywords", {"text": "x" * 200_001}, "invalid_request"),
        ("/v1/text/summarize", {"text": "…"}, "input_empty"),
        ("/v1/text/summarize", {"text": "x", "sentences": 1, "ratio": 0.5}, "invalid_request"),
        ("/v1/text/summarize", {"text": "x", "ratio": 0}, "invalid_request"),
        ("/v1/text/summarize", {"text": "Go on. " * 1_001}, "too_many_sentences"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, path: str, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(path, body)) == (400, code)
