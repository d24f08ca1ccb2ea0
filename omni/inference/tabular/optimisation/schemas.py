"""Request and response of `/v1/optimize`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

MAX_VARIABLES = 30
MAX_CONSTRAINTS = 10
MAX_EVALUATIONS = 20_000
MAX_POPULATION = 200
MAX_BOUND = 1e9

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$")]
Bound = Annotated[float, Strict(), Field(ge=-MAX_BOUND, le=MAX_BOUND, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class VariableBounds(BaseModel):
    name: Annotated[Name, Field(description="ASCII letters, digits and _, a letter first; no function's name.")]
    low: Annotated[Bound, Field(description="Smallest value, at least -1e9; it may be taken.")]
    high: Annotated[Bound, Field(description="Largest value, at most 1e9; above `low`.")]
    integer: Annotated[bool, Field(description="Whole numbers only; then both bounds are whole.")] = False


class OptimizeRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "objective": "(x - 10)**3 + (y - 20)**3",
                    "variables": [{"name": "x", "low": 13, "high": 100}, {"name": "y", "low": 0, "high": 100}],
                    "constraints": ["(x - 5)**2 + (y - 5)**2 >= 100", "(x - 6)**2 + (y - 5)**2 <= 82.81"],
                    "algorithm": "differential_evolution",
                }
            ]
        }
    )

    objective: Annotated[
        Text,
        Field(
            description="An expression of at most 2,000 ASCII characters and, with the constraints, 500 parts: numbers,"
            " the variables, pi, + - * / **, < <= > >= == != (1 or 0), and, or, not, `a if test else b`, and sin cos "
            "tan exp log sqrt abs tanh floor (one argument), pow (two), min max (2 to 16). An exponent without "
            "variables is at most 64 in size. Where the result is not a finite number, the point is worse than all "
            "others."
        ),
    ]
    direction: Literal["minimize", "maximize"] = "minimize"
    variables: Annotated[list[VariableBounds], Field(min_length=1, max_length=MAX_VARIABLES)]
    constraints: Annotated[
        list[Text],
        Field(
            max_length=MAX_CONSTRAINTS,
            description="One inequality each, e.g. `x + y <= 10`; a strict one counts as the other. Points are compared"
            " by Deb's rules (2000): within the constraints by the objective, outside by the sum of what is broken.",
        ),
    ] = []
    algorithm: Annotated[
        Literal["particle_swarm", "differential_evolution", "cma_es"],
        Field(
            description="`differential_evolution`: rand/1/bin (Storn, Price 1997). `particle_swarm`: with constriction "
            "(Clerc, Kennedy 2002), on a ring. `cma_es`: covariance adaptation with restarts of twice the size (Hansen "
            "2016; Auger, Hansen 2005): best for smooth, ill-conditioned objectives; takes most time."
        ),
    ] = "differential_evolution"
    evaluations: Annotated[
        int, Field(ge=10, le=MAX_EVALUATIONS, description="How many points may be measured at most.")
    ] = 5_000
    population: Annotated[
        int | None, Field(ge=4, le=MAX_POPULATION, description="Points in a generation; none = the algorithm's own.")
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**32, description="The same request gives the same answer.")] = 0
    target: Annotated[
        float | None, Field(allow_inf_nan=False, description="The search ends once the objective is as good as this.")
    ] = None


class BestPoint(BaseModel):
    variables: Annotated[dict[str, float], Field(examples=[{"x": 14.095, "y": 0.84296}])]
    value: Annotated[float, Field(description="The objective there.", examples=[-6961.8139])]
    violation: Annotated[float, Field(description="Sum of what the constraints are broken by; 0 = none is.")]


class ProgressPoint(BaseModel):
    evaluations: int
    value: Annotated[float, Field(description="The best so far, by Deb's rules.")]
    violation: float


class OptimizeResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    algorithm: Literal["particle_swarm", "differential_evolution", "cma_es"]
    feasible: Annotated[bool, Field(description="Whether the best point breaks no constraint.")]
    best: BestPoint
    evaluations: Annotated[int, Field(description="Points that were measured.")]
    generations: int
    stopped: Annotated[
        Literal["target_reached", "converged", "evaluations_used"],
        Field(description="`converged`: all points are within 1e-10 of the box of each other."),
    ]
    curve: Annotated[
        list[ProgressPoint],
        Field(description="The best after each generation; of more than 200 generations 200, evenly, with the last."),
    ]
