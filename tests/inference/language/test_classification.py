"""POST /v1/text/classify."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.inference.backend import Backend, refusal, usage
from tests.inference.language.labelled import LABELLED, LABELS

PATH = "/v1/text/classify"
TEXTS = ["I was charged twice for one order.", "The app crashes when I open the camera."]


async def classify(engines: Backend, body: object) -> dict[str, Any]:
    response = await engines.post(PATH, body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def vectors(engines: Backend, texts: list[str]) -> np.ndarray:
    response = await engines.post("/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": texts})
    return np.array([item["embedding"] for item in response.json()["data"]])


async def test_labels_score_by_the_documented_formula(engines: Backend) -> None:
    response = await engines.post(PATH, {"texts": TEXTS, "labels": ["billing", "bug report"]})
    answer = response.json()
    sentences = ["This text is about billing.", "This text is about bug report."]
    embedded = await vectors(engines, [*TEXTS, *sentences])
    powers = np.exp(20 * embedded[:2] @ embedded[2:].T)
    expected = powers / powers.sum(axis=1, keepdims=True)
    for result, row in zip(answer["results"], expected, strict=True):
        scores = {score["label"]: score["score"] for score in result["scores"]}
        assert [scores["billing"], scores["bug report"]] == pytest.approx(row.tolist(), abs=1e-4)
        assert sum(scores.values()) == pytest.approx(1.0)
    assert [result["labels"] for result in answer["results"]] == [["billing"], ["bug report"]]
    assert (answer["method"], answer["cross_validation"]) == ("zero_shot", None)
    assert usage(response)["input_tokens"] > 20


async def test_zero_shot_finds_the_subject_of_most_texts(engines: Backend) -> None:
    answer = await classify(engines, {"texts": [text for text, _ in LABELLED], "labels": list(LABELS)})
    right = [result["labels"] == [label] for result, (_, label) in zip(answer["results"], LABELLED, strict=True)]
    assert sum(right) / len(right) >= 0.95


async def test_a_description_makes_a_label_clear(engines: Backend) -> None:
    labels = [{"name": "A", "description": "Money, prices, invoices."}, {"name": "B", "description": "Software fails."}]
    answer = await classify(engines, {"texts": TEXTS, "labels": labels})
    assert [result["labels"] for result in answer["results"]] == [["A"], ["B"]]


async def test_many_labels_or_none(engines: Backend) -> None:
    texts = ["Simmer the soup while you watch the football match on TV.", "The train to Rome leaves from platform 4."]
    body: dict[str, object] = {"texts": texts, "labels": ["cooking", "sports", "finance"], "multi_label": True}
    first, second = (await classify(engines, body))["results"]
    assert set(first["labels"]) == {"cooking", "sports"}
    assert second["labels"] == []
    assert {score["label"] for score in second["scores"]} == {"cooking", "sports", "finance"}
    everything = await classify(engines, {**body, "threshold": 0.0})
    assert all(len(result["labels"]) == 3 for result in everything["results"])


async def test_examples_teach_and_are_measured(engines: Backend) -> None:
    examples = [{"text": text, "label": label} for text, label in LABELLED if label in ("sports", "cooking")]
    body = {"texts": ["The goalkeeper saved a penalty.", "Fry the eggs in olive oil."], "examples": examples}
    answer = await classify(engines, body)
    assert [result["labels"] for result in answer["results"]] == [["sports"], ["cooking"]]
    assert answer["method"] == "logistic_regression"
    assert answer["cross_validation"]["folds"] == 5
    assert answer["cross_validation"]["examples"] == 12
    assert answer["cross_validation"]["accuracy"] >= 0.9
    assert answer["cross_validation"]["majority_share"] == 0.5
    for result in answer["results"]:
        assert sum(score["score"] for score in result["scores"]) == pytest.approx(1.0)


async def test_labels_that_mean_nothing_are_not_learnt(engines: Backend) -> None:
    """What cross-validation is for: the same texts with labels by their place score no better than chance."""
    examples = [{"text": text, "label": "ab"[place % 2]} for place, (text, _) in enumerate(LABELLED[:12])]
    answer = await classify(engines, {"texts": ["Anything."], "examples": examples})
    assert answer["cross_validation"]["accuracy"] <= 0.7


async def test_few_examples_give_centroids_and_no_measure(engines: Backend) -> None:
    examples = [{"text": text, "label": label} for text, label in (LABELLED[0], LABELLED[6], LABELLED[7])]
    answer = await classify(engines, {"texts": ["Fry the eggs."], "examples": examples})
    assert (answer["method"], answer["cross_validation"]) == ("nearest_centroid", None)
    embedded = await vectors(engines, ["Fry the eggs.", *(example["text"] for example in examples)])
    centroid = (embedded[2] + embedded[3]) / np.linalg.norm(embedded[2] + embedded[3])
    (result,) = answer["results"]
    assert result["scores"][0]["label"] == "cooking"
    assert result["scores"][0]["cosine"] == pytest.approx(float(embedded[0] @ centroid), abs=1e-4)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "invalid_request"),
        ({"labels": ["a"]}, "invalid_request"),
        ({"labels": ["a", "a"]}, "invalid_request"),
        ({"labels": ["a", "b"], "template": "no place"}, "invalid_request"),
        ({"labels": ["a", "b"], "examples": [{"text": "x", "label": "a"}]}, "invalid_request"),
        ({"examples": [{"text": "x", "label": "a"}, {"text": "y", "label": "a"}]}, "invalid_request"),
        ({"examples": [{"text": x, "label": x} for x in "ab"], "multi_label": True}, "invalid_request"),
        ({"examples": [{"text": "x", "label": "a"}, {"text": " ", "label": "b"}]}, "input_empty"),
        ({"labels": ["a", " "], "template": "{label}"}, "input_empty"),
        ({"labels": ["a", "b"], "threshold": 2}, "invalid_request"),
        (
            {"examples": [{"text": "x", "label": str(n % 100)} for n in range(300)], "method": "logistic_regression"},
            "invalid_request",
        ),
    ],
)  # fmt: skip
async def test_bad_input_is_refused(engines: Backend, more: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(PATH, {"texts": ["x"], **more})) == (400, code)
