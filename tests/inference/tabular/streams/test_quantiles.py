"""The t-digest beside exact quantiles, and streams that are judged by it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from omni.inference.tabular.streams.digest import COMPRESSION, Digest
from tests.inference.backend import Backend

START = datetime(2026, 1, 1, tzinfo=UTC)


def digest_of(values: np.ndarray, half_life: float = float("inf")) -> Digest:
    digest = Digest(half_life)
    for value in values.tolist():
        digest.add(value)
    return digest


@pytest.mark.parametrize("name", ["normal", "lognormal", "uniform"])
def test_quantiles_are_near_the_exact_ones(name: str) -> None:
    values = getattr(np.random.default_rng(3), name)(size=20_000)
    digest = digest_of(values)
    for share in (0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999):
        rank = np.mean(values <= digest.quantile(share))
        assert rank == pytest.approx(share, abs=2 * (share * (1 - share)) ** 0.5 / COMPRESSION)


def test_it_stays_small_and_goes_on_from_its_state() -> None:
    values = np.random.default_rng(4).normal(size=5_000)
    means, weights = digest_of(values).state()
    assert len(means) <= COMPRESSION
    assert means == sorted(means)
    assert sum(weights[:-1]) == pytest.approx(5_000 * weights[-1])
    again = Digest.of_state(float("inf"), *json.loads(json.dumps([means, weights])))
    assert again.quantile(0.5) == pytest.approx(float(np.median(values)), abs=0.02)


def test_few_numbers_are_kept_as_they_are() -> None:
    digest = digest_of(np.array([5.0, 1.0, 3.0]))
    assert [digest.quantile(share) for share in (0, 0.5, 1)] == [1, 3, 5]


def test_what_is_old_weighs_less() -> None:
    values = np.concatenate([np.full(1_000, 10.0), np.full(100, 20.0)])
    assert digest_of(values).quantile(0.5) == pytest.approx(10)
    assert digest_of(values, half_life=20).quantile(0.5) == pytest.approx(20)


async def judged(engines: Backend, values: list[float], **more: object) -> dict[str, Any]:
    begin = more.pop("begin", 0)
    assert isinstance(begin, int)
    points = [
        {"time": (START + timedelta(minutes=begin + place)).isoformat(), "value": value}
        for place, value in enumerate(values)
    ]
    response = await engines.post("/v1/anomalies/stream", {"points": points, **more})
    assert response.status_code == 200, response.text
    assert response.headers["omni-model"].endswith("t-digest")
    found: dict[str, Any] = response.json()
    return found


async def test_skewed_values_are_judged_by_their_quartiles(engines: Backend) -> None:
    values = np.random.default_rng(5).lognormal(3, 0.3, size=400)
    first = await judged(engines, values.tolist(), options={"method": "quantiles", "half_life": 10_000})
    assert sum(result["anomaly"] for result in first["results"]) <= 4
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    far, near = high + 3.2 * (high - low), high + 2.5 * (high - low)
    later = await judged(engines, [far, near, middle], state=first["state"], begin=400)
    assert [result["anomaly"] for result in later["results"]] == [True, False, False]
    assert later["results"][0]["score"] == pytest.approx(3.2, abs=0.15)
    assert later["results"][0]["expected"] == pytest.approx(middle, rel=0.02)
    assert later["results"][2]["score"] == 0


async def test_two_levels_are_both_usual(engines: Backend) -> None:
    values = [10.0 + 80.0 * (place % 2) + place % 7 for place in range(200)]
    found = await judged(engines, [*values, 400.0], options={"method": "quantiles"})
    anomalies = [place for place, result in enumerate(found["results"]) if result["anomaly"]]
    assert anomalies == [200]


async def test_cut_in_parts_the_answer_is_nearly_the_same(engines: Backend) -> None:
    values = np.random.default_rng(6).normal(size=300).tolist()
    options = {"method": "quantiles"}
    whole = await judged(engines, values, options=options)
    part = await judged(engines, values[:150], options=options)
    rest = await judged(engines, values[150:], state=part["state"], begin=150)
    for one, other in zip(whole["results"][150:], rest["results"], strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=0.1)
