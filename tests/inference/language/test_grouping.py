"""POST /v1/text/duplicates and /v1/text/cluster."""

from __future__ import annotations

import random
from typing import Any

import pytest

from omni.inference.language.grouping.near_duplicates import NearDuplicates, bands, jaccard, shingles_of
from omni.inference.language.grouping.topics import keywords
from omni.inference.language.grouping.union import groups_of
from tests.inference.backend import Backend, refusal, usage
from tests.inference.language.labelled import LABELLED

DUPLICATES, CLUSTER = "/v1/text/duplicates", "/v1/text/cluster"
FOX = "The quick brown fox jumps over the lazy dog near the river bank"


async def post(engines: Backend, path: str, body: object) -> dict[str, Any]:
    response = await engines.post(path, body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_near_duplicates_by_words(engines: Backend) -> None:
    texts = [FOX, "Nothing like it at all.", FOX + " today", FOX.upper() + "!", "…", FOX + " today again"]
    response = await engines.post(DUPLICATES, {"texts": texts, "threshold": 0.8})
    answer = response.json()
    (group,) = answer["groups"]
    # 11 shingles of three words; with one more word 12, with two 13: 11/12, 11/13.
    assert group["representative"] == 0
    assert [(member["index"], member["similarity"]) for member in group["members"]] == [
        (0, 1.0),
        (2, pytest.approx(11 / 12)),
        (3, 1.0),
        (5, pytest.approx(11 / 13)),
    ]
    assert answer["unique"] == [1, 4]
    assert (answer["threshold"], answer["model"]) == (0.8, "minhash-lsh")
    assert set(usage(response)) == {"compute_ms"}


async def test_duplicates_by_meaning(engines: Backend) -> None:
    texts = [
        "A man is eating food.",
        "A man is eating a piece of bread.",
        "The girl plays the violin.",
        "A man eats food.",
    ]
    answer = await post(engines, DUPLICATES, {"texts": texts, "mode": "semantic"})
    assert [[member["index"] for member in group["members"]] for group in answer["groups"]] == [[0, 3]]
    assert answer["groups"][0]["members"][1]["similarity"] >= 0.9
    assert answer["unique"] == [1, 2]
    assert answer["model"] == "all-MiniLM-L6-v2"


def test_hashing_finds_what_comparing_all_finds() -> None:
    """Against all pairs, on texts at every distance: at most one in a hundred pairs may be missed, none be wrong."""
    chance = random.Random(5)
    vocabulary = [f"w{number}" for number in range(500)]
    texts = []
    for _ in range(30):
        base = [chance.choice(vocabulary) for _ in range(40)]
        for changes in (0, 0, 1, 2, 3, 5):
            changed = list(base)
            for place in chance.sample(range(40), changes):
                changed[place] = chance.choice(vocabulary)
            texts.append(" ".join(changed))
    shingles = [shingles_of(text, 2) for text in texts]
    expected = {
        (one, other): jaccard(shingles[one], shingles[other])
        for other in range(len(texts))
        for one in range(other)
        if jaccard(shingles[one], shingles[other]) >= 0.7
    }
    found, _ = NearDuplicates().pairs(texts, 2, 0.7, lambda: 1.0)
    assert len(expected) > 200
    assert {pair: expected[pair] for pair in found} == found
    assert len(found) >= 0.98 * len(expected)
    assert groups_of(len(texts), found) == groups_of(len(texts), expected)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.8, 0.9, 0.99, 1.0])
def test_bands_find_pairs_at_the_threshold(threshold: float) -> None:
    count, rows = bands(threshold)
    assert count * rows <= 128
    assert 1 - (1 - threshold**rows) ** count >= 0.99


async def test_clusters_are_the_subjects(engines: Backend) -> None:
    pairs = [(text, label) for text, label in LABELLED if label in ("sports", "cooking", "finance")]
    body = {"texts": [text for text, _ in pairs], "clusters": 3}
    answer = await post(engines, CLUSTER, body)
    commonest = 0
    for cluster in answer["clusters"]:
        subjects = [pairs[member["index"]][1] for member in cluster["members"]]
        commonest += max(subjects.count(subject) for subject in subjects)
        assert cluster["central"] == cluster["members"][0]["index"]
        texts = " ".join(pairs[member["index"]][0].casefold() for member in cluster["members"])
        assert all(keyword["word"] in texts for keyword in cluster["keywords"])
        assert cluster["label"] == ", ".join(keyword["word"] for keyword in cluster["keywords"][:3])
    assert commonest >= 16  # of 18 texts
    assert 0 < answer["silhouette"] < 1
    assert answer["outliers"] == []
    assert await post(engines, CLUSTER, body) == answer


async def test_the_number_of_clusters_is_found(engines: Backend) -> None:
    texts = [f"{subject} number {number}" for subject in ("invoice", "football match") for number in "1234"]
    answer = await post(engines, CLUSTER, {"texts": texts})
    assert [sorted(member["index"] for member in cluster["members"]) for cluster in answer["clusters"]] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
    ]


async def test_hdbscan_leaves_outliers_apart(engines: Backend) -> None:
    texts = [f"{subject} number {number}" for subject in ("invoice", "football match") for number in "123456"]
    answer = await post(engines, CLUSTER, {"texts": [*texts, "Volcanoes of Iceland"], "method": "hdbscan"})
    assert answer["outliers"] == [12]
    assert {frozenset(member["index"] for member in cluster["members"]) for cluster in answer["clusters"]} == {
        frozenset(range(6)),
        frozenset(range(6, 12)),
    }


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
async def test_equal_texts_are_one_cluster_or_none(engines: Backend, method: str) -> None:
    answer = await post(engines, CLUSTER, {"texts": ["the same"] * 6, "method": method})
    assert sum(len(cluster["members"]) for cluster in answer["clusters"]) + len(answer["outliers"]) == 6
    assert len(answer["clusters"]) <= 1
    assert answer["silhouette"] is None


def test_class_based_tf_idf_by_hand() -> None:
    """Two clusters of two and four words: mean 3. `tax`: 1/2 · ln(1 + 3/1)."""
    first, second = keywords([["tax law"], ["law ball ball goal"]], 2)
    assert [word for word, _ in first] == ["tax", "law"]
    assert [weight for _, weight in first] == pytest.approx([0.5 * 1.3862943611, 0.5 * 0.9162907319])
    assert second[0][0] == "ball"
    assert second[0][1] == pytest.approx(0.5 * 0.9162907319)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (DUPLICATES, {"texts": ["x"]}, "invalid_request"),
        (DUPLICATES, {"texts": ["x", ""]}, "invalid_request"),
        (DUPLICATES, {"texts": ["x", "y"], "threshold": 0}, "invalid_request"),
        (DUPLICATES, {"texts": ["x" * 20_000] * 51}, "text_too_long"),
        (DUPLICATES, {"texts": ["x", " "], "mode": "semantic"}, "input_empty"),
        (CLUSTER, {"texts": ["x", "y"]}, "invalid_request"),
        (CLUSTER, {"texts": ["x", "y", "z"], "clusters": 4}, "too_few_different_texts"),
        (CLUSTER, {"texts": ["x", "x", "x"], "clusters": 2}, "too_few_different_texts"),
        (CLUSTER, {"texts": ["x", "y", "z"], "method": "hdbscan"}, "too_few_different_texts"),
        (CLUSTER, {"texts": ["x", "y", "z"], "method": "hdbscan", "clusters": 2}, "invalid_request"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, path: str, body: dict[str, object], code: str) -> None:
    assert refusal(await engines.post(path, body)) == (400, code)
