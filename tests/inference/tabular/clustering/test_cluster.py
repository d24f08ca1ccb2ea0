"""POST /v1/tabular/cluster: iris against scikit-learn's own figures, and groups made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_moons
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

from tests.inference.backend import Backend, refusal, usage

METHODS = ("kmeans", "agglomerative", "gaussian_mixture", "hdbscan")


async def cluster(engines: Backend, rows: list[list[Any]], **more: object) -> dict[str, Any]:
    response = await engines.post("/v1/tabular/cluster", {"rows": rows, **more})
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def three_groups() -> tuple[list[list[float]], list[int]]:
    random = np.random.default_rng(0)
    centres = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)]
    sizes = [30, 20, 10]
    rows = [
        [x + random.normal(), y + random.normal()] for (x, y), n in zip(centres, sizes, strict=True) for _ in range(n)
    ]
    return rows, [label for label, n in enumerate(sizes) for _ in range(n)]


@pytest.mark.parametrize("method", METHODS)
async def test_three_groups_are_found(engines: Backend, method: str) -> None:
    rows, truth = three_groups()
    found = await cluster(engines, rows, method=method)
    inside = [(label, true) for label, true in zip(found["labels"], truth, strict=True) if label >= 0]
    assert adjusted_rand_score([true for _, true in inside], [label for label, _ in inside]) == 1
    assert [each["label"] for each in found["clusters"]] == [0, 1, 2]
    assert sum(each["size"] for each in found["clusters"]) + found["noise"] == 60
    if method != "hdbscan":
        assert found["labels"] == truth
        best = max(found["tried"], key=lambda tried: float(tried["silhouette"] or -2))
        assert (best["clusters"], [tried["clusters"] for tried in found["tried"]]) == (3, list(range(2, 9)))


async def test_iris_as_scikit_learn_scores_it(engines: Backend) -> None:
    data, species = load_iris(return_X_y=True)
    found = await cluster(engines, data.tolist(), clusters=3)
    scaled = (data - data.mean(0)) / data.std(0)
    assert found["quality"]["silhouette"] == pytest.approx(silhouette_score(scaled, found["labels"]))
    assert found["quality"]["davies_bouldin"] == pytest.approx(davies_bouldin_score(scaled, found["labels"]))
    assert found["quality"]["calinski_harabasz"] == pytest.approx(calinski_harabasz_score(scaled, found["labels"]))
    assert found["quality"]["silhouette"] == pytest.approx(0.4599, abs=5e-4)  # of standardised iris, widely published
    assert adjusted_rand_score(species, found["labels"]) == pytest.approx(0.62, abs=0.01)


async def test_a_mixture_sees_long_groups(engines: Backend) -> None:
    """Full covariances separate the species of iris better than k-means: adjusted Rand index 0.90 (scikit-learn)."""
    data, species = load_iris(return_X_y=True)
    found = await cluster(engines, data.tolist(), clusters=3, method="gaussian_mixture")
    assert adjusted_rand_score(species, found["labels"]) > 0.85


async def test_profiles_are_in_the_callers_units(engines: Backend) -> None:
    rows = [[float(i), "free", True] for i in range(6)] + [[100.0 + i, "pro", True] for i in range(4)]
    found = await cluster(engines, rows, columns=["spend", "plan", "active"], clusters=2)
    first, second = found["clusters"]
    assert (first["size"], second["size"], first["share"]) == (6, 4, 0.6)
    assert first["numbers"] == [
        {"column": "spend", "mean": 2.5, "standard_deviation": pytest.approx(float(np.std(range(6))))}
    ]
    assert second["categories"] == [
        {"column": "plan", "shares": {"pro": 1.0}},
        {"column": "active", "shares": {"true": 1.0}},
    ]
    spend = np.array([row[0] for row in rows], float)
    effects = {(each["column"], each["value"]): each["effect"] for each in second["distinguishing"]}
    assert effects["spend", None] == pytest.approx((101.5 - spend.mean()) / spend.std())
    assert effects["plan", "pro"] == pytest.approx(0.6 / np.sqrt(0.24))
    assert effects["plan", "free"] == pytest.approx(-0.6 / np.sqrt(0.24))
    assert found["unused_columns"] == ["active"]


async def test_a_category_weighs_as_much_as_a_number(engines: Backend) -> None:
    """Without a pattern in the numbers, two categories decide."""
    random = np.random.default_rng(1)
    rows = [[random.normal(), "a" if i % 2 else "b", "x" if i % 2 else "y"] for i in range(60)]
    found = await cluster(engines, rows, clusters=2)
    assert adjusted_rand_score([i % 2 for i in range(60)], found["labels"]) == 1


async def test_density_finds_what_centres_cannot(engines: Backend) -> None:
    rows, truth = make_moons(200, noise=0.05, random_state=0)
    found = await cluster(engines, rows.tolist(), method="hdbscan", min_cluster_size=10)
    assert adjusted_rand_score(truth, found["labels"]) > 0.95
    centres = await cluster(engines, rows.tolist(), clusters=2)
    assert adjusted_rand_score(truth, centres["labels"]) < 0.6


async def test_an_outlier_is_noise(engines: Backend) -> None:
    rows, _ = three_groups()
    found = await cluster(engines, [*rows, [100.0, 100.0]], method="hdbscan")
    assert found["labels"][-1] == -1
    assert found["noise"] >= 1


@pytest.mark.parametrize("scaling", ["standard", "robust", "none"])
async def test_scaling(engines: Backend, scaling: str) -> None:
    """The wide column hides the groups unless it is scaled."""
    random = np.random.default_rng(2)
    rows = [[float(random.uniform(0, 10_000)), float(i % 4 > 0) + random.normal(0, 0.01)] for i in range(80)]
    found = await cluster(engines, rows, clusters=2, scaling=scaling)
    agreement = adjusted_rand_score([i % 4 > 0 for i in range(80)], found["labels"])
    assert (agreement > 0.5) == (scaling != "none")


async def test_the_same_seed_gives_the_same_answer(engines: Backend) -> None:
    rows = np.random.default_rng(3).normal(size=(50, 3)).tolist()
    for method in METHODS:
        assert await cluster(engines, rows, method=method) == await cluster(engines, rows, method=method)


@pytest.mark.parametrize("method", METHODS)
async def test_odd_rows_are_served(engines: Backend, method: str) -> None:
    for rows in (
        [[0.0]] * 7 + [[1.0]],
        [[1e15, "é"], [-1e15, "\u0000"]] * 5,
        [[1e-300 * i] for i in range(9)] + [[1.0]],
        [["a"], ["b"]] * 10,
    ):
        found = await cluster(engines, rows, method=method, min_cluster_size=2)
        assert len(found["labels"]) == len(rows)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"rows": []}, (400, "too_few_rows")),
        ({"rows": [[1]] * 7}, (400, "too_few_rows")),
        ({"rows": [[1]] * 3_001}, (400, "invalid_request")),
        ({"rows": [[1, 2]] * 8 + [[1]]}, (400, "rows_differ_in_length")),
        ({"rows": [[1]] * 8 + [["a"]]}, (400, "column_is_mixed")),
        ({"rows": [[1]] * 8 + [[True]]}, (400, "column_is_mixed")),
        ({"rows": [[1]] * 8 + [[None]]}, (400, "invalid_request")),
        ({"rows": [[1e16]] * 8}, (400, "value_not_usable")),
        ({"rows": [[1]] * 8, "columns": ["a", "b"]}, (400, "columns_invalid")),
        ({"rows": [[1, 2]] * 8, "columns": ["a", "a"]}, (400, "columns_invalid")),
        ({"rows": [[str(i)] for i in range(60)]}, (400, "too_many_categories")),
        ({"rows": [[f"{i % 45}"] * 5 for i in range(60)]}, (400, "too_many_categories")),
        ({"rows": [[1]] * 8}, (422, "too_few_different_rows")),
        ({"rows": [[1]] * 8, "method": "hdbscan"}, (422, "too_few_different_rows")),
        ({"rows": [[1], [2]] * 8, "clusters": 3}, (422, "too_few_different_rows")),
        ({"rows": [[1], [2]] * 8, "clusters": 2, "method": "hdbscan"}, (400, "cluster_options_invalid")),
        ({"rows": [[1], [2]] * 8, "min_cluster_size": 17, "method": "hdbscan"}, (400, "cluster_options_invalid")),
        ({"rows": [[1], [2]] * 8, "clusters": 1}, (400, "invalid_request")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await engines.post("/v1/tabular/cluster", body)) == expected
