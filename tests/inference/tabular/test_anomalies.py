"""POST /v1/anomalies/detect."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.neighbors import NearestNeighbors

from tests.inference.backend import Backend, refusal, usage


async def detect(engines: Backend, body: dict[str, Any]) -> dict[str, Any]:
    response = await engines.post("/v1/anomalies/detect", body)
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def seasonal(points: int) -> list[float]:
    noise = np.random.default_rng(3).normal(0, 0.5, points)
    return [100 + i * 0.2 + 10 * math.sin(i / 12 * math.tau) + float(noise[i]) for i in range(points)]


async def test_a_spike_in_a_seasonal_series(engines: Backend) -> None:
    values = seasonal(120)
    expected = values[50]
    values[50] += 12
    found = await detect(engines, {"series": {"values": values, "period": 12}})
    assert found["method"] == "seasonal_median"
    first = found["anomalies"][0]
    assert first["index"] == 50
    assert first["expected"] == pytest.approx(expected, abs=2)
    assert found["flags"].count(True) == len(found["anomalies"]) <= 2
    assert first["score"] == max(found["scores"]) > found["threshold"] == 3.5


async def test_a_spike_on_a_trend_without_season(engines: Backend) -> None:
    values = [float(i) for i in range(100)]
    values[40] += 30
    found = await detect(engines, {"series": {"values": values}})
    assert found["method"] == "pair_median"
    assert [anomaly["index"] for anomaly in found["anomalies"]] == [40]
    assert found["anomalies"][0]["expected"] == pytest.approx(40, abs=1)


@pytest.mark.parametrize(
    "values", [[5.0] * 20, [float(i) for i in range(20)], [math.sin(i / 4 * math.tau) for i in range(40)]]
)
async def test_regular_series_have_no_anomalies(engines: Backend, values: list[float]) -> None:
    found = await detect(engines, {"series": {"values": values, "period": 4}})
    assert found["anomalies"] == []
    assert all(math.isfinite(score) for score in found["scores"])


METHODS = ("auto", "ecod", "copod", "iforest", "hbos", "knn", "lof")


@pytest.mark.parametrize("method", METHODS)
async def test_the_odd_row_scores_highest(engines: Backend, method: str) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3)).tolist()
    rows[7] = [8.0, -9.0, 10.0]
    found = await detect(engines, {"rows": rows, "method": method, "contamination": 0.01})
    assert found["anomalies"][0]["index"] == 7
    assert len(found["anomalies"]) == 2
    assert found["flags"] == [score > found["threshold"] for score in found["scores"]]


async def test_ecod_says_what_each_column_adds(engines: Backend) -> None:
    rows = np.random.default_rng(1).normal(size=(100, 3)).tolist()
    found = await detect(engines, {"rows": rows, "method": "ecod"})
    for anomaly in found["anomalies"]:
        parts = [part["score"] for part in anomaly["contributions"]]
        assert sum(parts) == pytest.approx(anomaly["score"])
        assert parts == sorted(parts, reverse=True)


async def test_distances_do_not_depend_on_units(engines: Backend) -> None:
    rows = np.random.default_rng(4).normal(size=(60, 2))
    for method in ("knn", "lof"):
        here = await detect(engines, {"rows": rows.tolist(), "method": method})
        there = await detect(engines, {"rows": (rows * [1, 1e6]).tolist(), "method": method})
        assert here["scores"] == pytest.approx(there["scores"])


async def test_knn_as_scikit_learn_finds_neighbours(engines: Backend) -> None:
    rows = np.random.default_rng(5).normal(3, 2, size=(50, 3))
    found = await detect(engines, {"rows": rows.tolist(), "method": "knn"})
    scaled = (rows - rows.mean(0)) / rows.std(0)
    distances = NearestNeighbors(n_neighbors=11).fit(scaled).kneighbors()[0][:, :10]
    assert found["scores"] == pytest.approx(distances.mean(1).tolist())


async def test_histograms_by_hand(engines: Backend) -> None:
    """Seven of 8 values in the first of 10 bins, one in the last; a bin is 1 / 3.3072 wide once standardised."""
    found = await detect(engines, {"rows": [[0]] * 7 + [[10]], "method": "hbos"})
    width = 1 / math.sqrt(100 / 8 - 1.25**2)
    expected = [-math.log2(share / width + 0.1) for share in (7 / 8, 1 / 8)]
    assert found["scores"] == pytest.approx([expected[0]] * 7 + [expected[1]])


async def test_auto_is_the_mean_rank(engines: Backend) -> None:
    rows = np.random.default_rng(6).normal(size=(80, 2)).tolist()
    parts = [(await detect(engines, {"rows": rows, "method": m}))["scores"] for m in ("iforest", "hbos", "knn")]
    ranks = np.mean([(rankdata(scores) - 0.5) / 80 for scores in parts], axis=0)
    found = await detect(engines, {"rows": rows, "method": "auto"})
    assert found["scores"] == pytest.approx(ranks.tolist())


@pytest.mark.parametrize("method", METHODS)
async def test_odd_rows_are_scored(engines: Backend, method: str) -> None:
    for rows in ([[1e15], [-1e15]] * 4, [[0.0, 1.0]] * 8 + [[0.0, 2.0]], [[float(i)] for i in range(8)]):
        found = await detect(engines, {"rows": rows, "method": method})
        assert all(math.isfinite(score) for score in found["scores"])


async def test_the_forest_is_the_same_every_time(engines: Backend) -> None:
    body = {"rows": np.random.default_rng(2).normal(size=(50, 2)).tolist(), "method": "iforest"}
    assert await detect(engines, body) == await detect(engines, body)


@pytest.mark.parametrize(("points", "period"), [(16, 8), (9, 4), (8, None), (40, 20)])
async def test_the_shortest_series_are_served(engines: Backend, points: int, period: int | None) -> None:
    found = await detect(engines, {"series": {"values": seasonal(points), "period": period}})
    assert len(found["scores"]) == points


@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")  # scipy's, of the skewness of equal numbers
async def test_rows_that_are_all_alike(engines: Backend) -> None:
    for method in METHODS:
        found = await detect(engines, {"rows": [[1.0, 2.0]] * 20, "method": method})
        assert found["anomalies"] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "series_or_rows")),
        ({"series": {"values": [1] * 9}, "rows": [[1]] * 9}, (400, "series_or_rows")),
        ({"series": {"values": []}}, (400, "series_too_short")),
        ({"series": {"values": [1] * 9, "period": 5}}, (400, "series_too_short")),
        ({"series": {"values": [1] * 9, "period": 1}}, (400, "invalid_request")),
        ({"rows": []}, (400, "too_few_rows")),
        ({"rows": [[1]] * 7}, (400, "too_few_rows")),
        ({"rows": [[]] * 9}, (400, "invalid_request")),
        ({"rows": [[1, 2]] * 8 + [[1]]}, (400, "rows_differ_in_length")),
        ({"rows": [[1e16]] * 9}, (400, "value_not_usable")),
        ({"rows": [[1] * 51] * 9}, (400, "invalid_request")),
        ({"rows": [[1] * 50] * 4_001}, (400, "too_many_values")),
        ({"rows": [[1]] * 9, "method": "oddball"}, (400, "invalid_request")),
        ({"rows": [[1]] * 9, "contamination": 0}, (400, "invalid_request")),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(await engines.post("/v1/anomalies/detect", body)) == expected


async def test_nan_is_refused_with_its_place(engines: Backend) -> None:
    body = b'{"rows": [[1,1],[1,1],[1,NaN],[1,1],[1,1],[1,1],[1,1],[1,1]]}'
    response = await engines.send(
        "POST", "/v1/anomalies/detect", content=body, headers={"content-type": "application/json"}
    )
    assert refusal(response) == (400, "value_not_usable")
    assert response.json()["param"] == "rows[2][1]"
