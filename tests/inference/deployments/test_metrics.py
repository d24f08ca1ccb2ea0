"""What is counted of deployments: who answered, what shadows came to, why canaries went on or back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omni.inference.deployments.schemas import DeploymentPredictRequest, FeedbackRequest
from omni.kit.errors import InvalidInput, Unprocessable
from tests.inference.deployments.conftest import World
from tests.inference.measured import by

REQUESTS, SHADOWS, DECISIONS = (
    "omni_deployment_requests_total", "omni_deployment_shadows_total", "omni_canary_decisions_total",
)  # fmt: skip
CANARY: dict[str, Any] = {
    "version": 2, "percents": [50, 100], "minimum_requests": 10, "rollback": {"error_rate": 0.1}
}  # fmt: skip


@pytest.fixture(autouse=True)
async def _quiet(world: World) -> AsyncIterator[None]:
    yield
    await world.counters.close()


def decided(world: World) -> dict[tuple[str, str], float]:
    found = {}
    for family in world.registry.collect():
        for sample in family.samples:
            if sample.name == DECISIONS and sample.value:
                found[sample.labels["decision"], sample.labels["reason"]] = sample.value
    return found


async def test_answers_are_counted_by_who_gave_them_and_by_whose_fault_they_failed(world: World) -> None:
    def answer(number: int) -> dict[str, Any]:
        if number == 2:
            raise Unprocessable("model_run_failed", "It failed.")
        return {"outputs": {"y": [1.0]}}

    world.versions.answer = answer
    await world.deploy(canary=CANARY)
    answers = await world.ask_all(range(40))
    failed = sum("error" in each for each in answers)
    assert 0 < failed < 40
    assert by(world.registry, REQUESTS, "outcome") == {"ok": 40 - failed, "failed": failed}
    assert by(world.registry, REQUESTS, "role") == {"live": 40 - failed, "canary": failed}

    def refuse(number: int) -> dict[str, Any]:
        raise InvalidInput("inputs_invalid", "It does not fit.")

    world.versions.answer = refuse
    await world.ask_all(range(7))
    assert by(world.registry, REQUESTS, "outcome")["refused"] == 7


async def test_a_decision_is_counted_once_with_its_reason(world: World) -> None:
    await world.deploy(canary=CANARY)
    for round_ in range(2):
        await world.ask_all(range(round_ * 100, round_ * 100 + 60))
        await world.counters.write()
    assert decided(world) == {("stepped", "healthy"): 1, ("promoted", "healthy"): 1}
    await world.ask_all(range(40))
    await world.counters.write()
    assert sum(decided(world).values()) == 2


async def test_errors_roll_back(world: World) -> None:
    def answer(number: int) -> dict[str, Any]:
        if number == 2:
            raise Unprocessable("model_run_failed", "It failed.")
        return {"outputs": {"y": [1.0]}}

    world.versions.answer = answer
    await world.deploy(canary=CANARY)
    await world.ask_all(range(60))
    assert decided(world) == {}, "it is decided where it is written"
    await world.counters.write()
    assert decided(world) == {("rolled_back", "errors"): 1}


async def test_latency_rolls_back(world: World) -> None:
    await world.deploy(canary={**CANARY, "rollback": {"error_rate": 1.0, "p95_ms": 0.001}})
    await world.ask_all(range(40))
    await world.counters.write()
    assert decided(world) == {("rolled_back", "latency"): 1}


async def test_quality_rolls_back_with_the_score_that_decides_it(world: World) -> None:
    rollback = {"error_rate": 1.0, "score_drop": 0.1, "minimum_scores": 30}
    await world.deploy(canary={**CANARY, "percents": [50, 60], "rollback": rollback})
    answers = await world.ask_all(range(100))
    await world.counters.write()
    for number, answer in enumerate(answers):
        score = (0.2 if answer["role"] == "canary" else 0.9) + 0.01 * (number % 3)
        request = FeedbackRequest(prediction_id=answer["prediction_id"], score=score)
        await world.answering.feedback(world.tenant_id, "live", request)
    assert decided(world) == {("rolled_back", "quality"): 1}


async def test_shadows_are_counted_by_what_they_came_to(world: World) -> None:
    def answer(number: int) -> dict[str, Any]:
        if number == 3 and len(world.versions.asked) > 4:
            raise Unprocessable("model_run_failed", "It failed.")
        return {"outputs": {"y": [1.0 if number == 1 or len(world.versions.asked) < 3 else 1.5]}}

    world.versions.answer = answer
    await world.deploy(shadow={"version": 3})
    for _ in range(3):
        await world.ask()
    assert by(world.registry, SHADOWS, "outcome") == {"agreed": 1, "differed": 1, "failed": 1}
    request = DeploymentPredictRequest(inputs={"x": [1]})
    waiting = [(await world.answering.predict(world.call(), "live", request))[1] for _ in range(6)]
    world.versions.gate.clear()
    tasks = [asyncio.create_task(later()) for later in waiting]
    for _ in range(20):
        await asyncio.sleep(0)
    world.versions.gate.set()
    await asyncio.gather(*tasks)
    assert by(world.registry, SHADOWS, "outcome")["skipped"] == 2
