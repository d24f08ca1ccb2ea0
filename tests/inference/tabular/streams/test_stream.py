"""POST /v1/anomalies/stream."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from omni.kit.ids import uuid7
from tests.inference.backend import Backend, refusal, usage

START = datetime(2026, 1, 1, tzinfo=UTC)


def points(values: list[float], first: int = 0) -> list[dict[str, Any]]:
    return [{"time": (START + timedelta(minutes=first + i)).isoformat(), "value": v} for i, v in enumerate(values)]


async def judge(engines: Backend, given: list[dict[str, Any]], **more: object) -> dict[str, Any]:
    response = await engines.post("/v1/anomalies/stream", {"points": given, **more})
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


def noise(size: int, seed: int = 0) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(100, 2, size)]


async def test_a_spike_is_found_and_hardly_learnt(engines: Backend) -> None:
    begun = await judge(engines, points(noise(200)))
    assert [result["status"] for result in begun["results"][:20]] == ["warming_up"] * 20
    assert {result["anomaly"] for result in begun["results"]} == {False}
    found = await judge(engines, points([130.0, 100.0], 200), state=begun["state"])
    spike, after = found["results"]
    assert spike["anomaly"]
    assert spike["score"] == pytest.approx(15, abs=3)  # 30 over a deviation of 2
    assert (after["anomaly"], found["points_seen"]) == (False, 202)
    assert after["expected"] == pytest.approx(spike["expected"], abs=0.1)


async def test_a_new_level_is_learnt(engines: Backend) -> None:
    values = noise(100) + [value + 40 for value in noise(400, 1)]
    found = await judge(engines, points(values))
    assert [result["anomaly"] for result in found["results"][100:105]] == [True] * 5
    assert not any(result["anomaly"] for result in found["results"][-100:])


async def test_nothing_is_flagged_while_it_warms_up(engines: Backend) -> None:
    values = [0.0, 1e9] * 15
    found = await judge(engines, points(values), options={"warm_up": 30})
    assert {(result["score"], result["anomaly"]) for result in found["results"]} == {(None, False)}


async def test_one_at_a_time_is_as_all_at_once(engines: Backend) -> None:
    values = [*noise(30), 150.0, *noise(5, 3)]
    at_once = await judge(engines, points(values))
    state, one_by_one = None, []
    for place, point in enumerate(points(values)):
        found = await judge(engines, [point], state=state)
        state = found["state"]
        assert found["points_seen"] == place + 1
        one_by_one += found["results"]
    assert one_by_one == at_once["results"]


async def test_a_repeated_point_gets_the_same_answer_and_changes_nothing(engines: Backend) -> None:
    begun = await judge(engines, points([*noise(30), 150.0]))
    again = await judge(engines, points([150.0], 30), state=begun["state"])
    (repeated,) = again["results"]
    assert repeated == {**begun["results"][-1], "status": "repeated"}
    assert repeated["anomaly"]
    assert again["points_seen"] == begun["points_seen"] == 31
    here = await judge(engines, points([104.0], 31), state=begun["state"])
    there = await judge(engines, points([104.0], 31), state=again["state"])
    assert here["results"] == there["results"]


async def test_late_points_are_ignored(engines: Backend) -> None:
    begun = await judge(engines, points(noise(30), 10))
    late = await judge(engines, points([1e6], 5), state=begun["state"])
    assert (late["results"][0]["status"], late["results"][0]["anomaly"], late["points_seen"]) == ("late", False, 30)


async def test_a_constant_series(engines: Backend) -> None:
    found = await judge(engines, points([5.0] * 30 + [5.1] + [5.0]))
    assert [result["score"] for result in found["results"][20:30]] == [0] * 10
    assert found["results"][30]["score"] == 1e9
    assert found["results"][31]["score"] < 4


@pytest.mark.parametrize("value", [1e15, -1e15, 1e-300, 0.0])
async def test_extremes_give_finite_numbers(engines: Backend, value: float) -> None:
    found = await judge(engines, points([value, -value] * 40))
    assert all(result["score"] <= 1e9 for result in found["results"][20:])


async def test_another_tenant_cannot_use_the_state(engines: Backend) -> None:
    state = (await judge(engines, points([1.0])))["state"]
    other = replace(engines, tenant_id=uuid7())
    assert refusal(await other.post("/v1/anomalies/stream", {"points": points([1.0]), "state": state})) == (
        400,
        "state_invalid",
    )
    assert (await judge(engines, points([1.0], 1), state=state))["points_seen"] == 2


async def test_a_changed_state_is_refused(engines: Backend) -> None:
    state = (await judge(engines, points([1.0])))["state"]
    middle = len(state) // 2
    changed = state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]
    for bad in (changed, state[:20], "", "x", "é", "AQ==", "\u0000"):
        response = await engines.post("/v1/anomalies/stream", {"points": points([1.0]), "state": bad})
        assert refusal(response) == (400, "state_invalid"), bad


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"points": []}, "invalid_request"),
        ({"points": [{"time": "2026-01-01T00:00:00Z", "value": 1e16}]}, "invalid_request"),
        ({"points": [{"time": "yesterday", "value": 1}]}, "invalid_request"),
        ({"points": points([1.0]), "state": "x", "options": {}}, "stream_options_fixed"),
        ({"points": points([1.0]), "options": {"warm_up": 1}}, "invalid_request"),
        ({"points": points([1.0]), "state": "A" * 32_769}, "invalid_request"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], code: str) -> None:
    assert refusal(await engines.post("/v1/anomalies/stream", body)) == (400, code)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00"])
async def test_times_of_any_zone_are_read(engines: Backend, time: str) -> None:
    assert (await judge(engines, [{"time": time, "value": 1}]))["points_seen"] == 1
