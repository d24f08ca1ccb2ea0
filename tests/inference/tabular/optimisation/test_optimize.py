"""POST /v1/optimize. The optima are those of the literature: sphere, Rosenbrock and Rastrigin 0 by construction; G06 of
Michalewicz and Schoenauer (1996) -6961.81388 at (14.095, 0.84296).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.inference.backend import Backend, refusal, usage

ALGORITHMS = ("particle_swarm", "differential_evolution", "cma_es")
SPHERE = "+".join(f"(x{i} - {i})**2" for i in range(5))
ROSENBROCK = "100*(x1 - x0**2)**2 + (1 - x0)**2"
RASTRIGIN = "20 + x0**2 - 10*cos(2*pi*x0) + x1**2 - 10*cos(2*pi*x1)"
G06: dict[str, Any] = {
    "objective": "(x - 10)**3 + (y - 20)**3",
    "variables": [{"name": "x", "low": 13, "high": 100}, {"name": "y", "low": 0, "high": 100}],
    "constraints": ["(x - 5)**2 + (y - 5)**2 >= 100", "(x - 6)**2 + (y - 5)**2 <= 82.81"],
    "evaluations": 10_000,
}


def request(objective: str, size: int = 1, **more: object) -> dict[str, Any]:
    variables = [{"name": f"x{i}", "low": -5, "high": 5.5} for i in range(size)]
    return {"objective": objective, "variables": variables, **more}


async def optimise(engines: Backend, body: dict[str, Any]) -> dict[str, Any]:
    response = await engines.post("/v1/optimize", body)
    assert response.status_code == 200, response.text
    assert usage(response)["compute_ms"] >= 1
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_sphere(engines: Backend, algorithm: str) -> None:
    found = await optimise(engines, request(SPHERE, 5, algorithm=algorithm, evaluations=10_000, target=1e-4))
    assert (found["stopped"], found["feasible"]) == ("target_reached", True)
    assert list(found["best"]["variables"].values()) == pytest.approx([0, 1, 2, 3, 4], abs=0.02)
    assert found["curve"][-1]["value"] == found["best"]["value"] <= 1e-4
    assert found["curve"][-1]["evaluations"] == found["evaluations"] < 10_000


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_rosenbrock_and_rastrigin(engines: Backend, algorithm: str) -> None:
    valley = await optimise(engines, request(ROSENBROCK, 2, algorithm=algorithm, evaluations=8_000, target=1e-6))
    assert list(valley["best"]["variables"].values()) == pytest.approx([1, 1], abs=0.01)
    waves = await optimise(engines, request(RASTRIGIN, 2, algorithm=algorithm, evaluations=8_000, target=1e-4))
    assert list(waves["best"]["variables"].values()) == pytest.approx([0, 0], abs=0.001)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_g06_is_held_to_its_constraints(engines: Backend, algorithm: str) -> None:
    found = await optimise(engines, {**G06, "algorithm": algorithm})
    best = found["best"]
    x, y = best["variables"]["x"], best["variables"]["y"]
    assert found["feasible"]
    assert (x - 5) ** 2 + (y - 5) ** 2 >= 100
    assert (x - 6) ** 2 + (y - 5) ** 2 <= 82.81
    assert best["value"] == pytest.approx(-6961.81388, abs=0.01 if algorithm != "particle_swarm" else 10)


async def test_maximum_at_the_bound_and_convergence(engines: Backend) -> None:
    found = await optimise(engines, request("x0 + 2*x1", 2, direction="maximize"))
    assert found["best"]["value"] == pytest.approx(16.5, abs=1e-8)
    assert found["stopped"] == "converged"
    values = [step["value"] for step in found["curve"]]
    assert values == sorted(values)


async def test_whole_numbers(engines: Backend) -> None:
    """A knapsack of weights 3, 4, 5 and values 4, 5, 7 that carries 10: two of 5, found by trying all by hand."""
    body = {
        "objective": "4*a + 5*b + 7*c",
        "direction": "maximize",
        "variables": [{"name": name, "low": 0, "high": 3, "integer": True} for name in "abc"],
        "constraints": ["3*a + 4*b + 5*c <= 10"],
    }
    for algorithm in ALGORITHMS:
        found = await optimise(engines, {**body, "algorithm": algorithm, "target": 14})
        assert found["best"]["variables"] == {"a": 0, "b": 0, "c": 2}


async def test_what_cannot_be_met_is_said(engines: Backend) -> None:
    found = await optimise(engines, request("x0", constraints=["x0 >= 7"], evaluations=1_000))
    assert not found["feasible"]
    assert found["best"]["violation"] == pytest.approx(1.5)


async def test_points_without_a_number_lose(engines: Backend) -> None:
    found = await optimise(engines, request("sqrt(x0) + 1/x0", target=1.89))
    assert found["best"]["variables"]["x0"] == pytest.approx(2 ** (2 / 3), abs=0.1)


async def test_the_same_seed_gives_the_same_answer(engines: Backend) -> None:
    for algorithm in ALGORITHMS:
        body = request(RASTRIGIN, 2, algorithm=algorithm, evaluations=500, seed=5)
        assert await optimise(engines, body) == await optimise(engines, body)
        assert await optimise(engines, body) != await optimise(engines, {**body, "seed": 6})


async def test_the_budget_is_kept_and_long_curves_are_thinned(engines: Backend) -> None:
    found = await optimise(engines, request(SPHERE, 5, evaluations=1_003, population=4))
    assert (found["evaluations"], found["generations"], len(found["curve"])) == (1_003, 251, 200)
    assert found["stopped"] == "evaluations_used"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (request("x0.real"), "expression_invalid", "objective"),
        (request("9**9**9"), "expression_invalid", "objective"),
        (request("x0", constraints=["x0 < 1", "x0"]), "expression_invalid", "constraints[1]"),
        (request("x0", constraints=["x0" + "+x0" * 90 + "<1"] * 6), "expression_invalid", "constraints"),
        ({"objective": "x", "variables": [{"name": "x", "low": 1, "high": 1}]}, "variables_invalid", "variables[0]"),
        (
            {"objective": "x", "variables": [{"name": "x", "low": 0, "high": 1}] * 2},
            "variables_invalid",
            "variables[1]",
        ),
        ({"objective": "1", "variables": [{"name": "sin", "low": 0, "high": 1}]}, "variables_invalid", "variables[0]"),
        ({"objective": "1", "variables": [{"name": "if", "low": 0, "high": 1}]}, "variables_invalid", "variables[0]"),
        (
            {"objective": "x", "variables": [{"name": "x", "low": 0, "high": 1.5, "integer": True}]},
            "variables_invalid",
            "variables[0]",
        ),
        (
            {"objective": "x", "variables": [{"name": "__x", "low": 0, "high": 1}]},
            "invalid_request",
            "variables.0.name",
        ),
        (
            {"objective": "x", "variables": [{"name": "x", "low": 0, "high": 1e10}]},
            "invalid_request",
            "variables.0.high",
        ),
        (request(""), "invalid_request", "objective"),
        (request("x0", evaluations=20_001), "invalid_request", "evaluations"),
        (request("x0", population=3), "invalid_request", "population"),
        (request("x0", seed=-1), "invalid_request", "seed"),
        (request("x0", size=31), "invalid_request", "variables"),
    ],
)
async def test_bad_input_is_refused(engines: Backend, body: dict[str, Any], code: str, param: str) -> None:
    response = await engines.post("/v1/optimize", body)
    assert refusal(response) == (400, code)
    assert response.json()["param"] == param


async def test_the_place_of_the_problem_is_named(engines: Backend) -> None:
    response = await engines.post("/v1/optimize", request("x0 + foo(3)"))
    assert response.json()["position"] == 5


@pytest.mark.parametrize("objective", ["sqrt(-1 - x0**2)", "1/0", "log(0) + x0", "exp(1e9)"])
async def test_without_a_finite_point_there_is_no_answer(engines: Backend, objective: str) -> None:
    assert refusal(await engines.post("/v1/optimize", request(objective))) == (422, "objective_not_finite")
