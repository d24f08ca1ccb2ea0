"""POST /v1/text/sentiment."""

from __future__ import annotations

import pytest

from tests.inference.backend import Backend, refusal, usage


async def test_scores_are_the_ones_of_the_authors_examples(engines: Backend) -> None:
    texts = ["VADER is smart, handsome, and funny.", "Today SUX!", "The book was on the table."]
    response = await engines.post("/v1/text/sentiment", {"texts": texts})
    found = response.json()
    # The first two values stand in VADER's README.
    assert [(item["label"], item["compound"]) for item in found["results"]] == [
        ("positive", 0.8316),
        ("negative", -0.5461),
        ("neutral", 0.0),
    ]
    assert found["model"].startswith("vader-")
    assert usage(response)["compute_ms"] >= 1


@pytest.mark.parametrize(
    "body",
    [
        {"texts": []},
        {"texts": [""]},
        {"texts": ["x" * 10_001]},
        {"texts": ["x"] * 129},
        {"texts": "x"},
        {"texts": ["x"], "language": "sl"},
        {},
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, object]) -> None:
    assert refusal(await engines.post("/v1/text/sentiment", body)) == (400, "invalid_request")
