"""What `/v1/optimize` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from omni import __version__
from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.optimisation.expressions import (
    MAX_NODES,
    BadExpression,
    Expression,
    is_free_name,
    parse,
    parse_inequality,
)
from omni.inference.tabular.optimisation.problem import Problem, SearchSettings, Variable
from omni.inference.tabular.optimisation.schemas import (
    BestPoint,
    OptimizeRequest,
    OptimizeResponse,
    ProgressPoint,
    VariableBounds,
)
from omni.kit.errors import InvalidInput, Unprocessable

if TYPE_CHECKING:
    from omni.inference.tabular.optimisation.search import Searcher

ENGINE = f"omni-{__version__}"


class OptimisationService:
    """Looks for the best point of a box."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._searcher: LazyEngine[Searcher] = LazyEngine(
            "omni.inference.tabular.optimisation.search", lambda module: module.Searcher()
        )

    async def optimise(self, call: Call, request: OptimizeRequest) -> OptimizeResponse:
        """The best point that was found, and how.

        Raises InvalidInput `variables_invalid` or `expression_invalid`, Unprocessable `objective_not_finite` when no
        point gives a finite number.
        """
        problem = _problem(request)
        settings = SearchSettings(
            request.algorithm, request.evaluations, request.population, request.seed, request.target
        )
        found = await self._pool.run(
            call, "tabular", lambda: self._searcher.get().search(problem, settings, call.seconds_left)
        )
        if found is None:
            raise Unprocessable(
                "objective_not_finite",
                f"None of the {request.evaluations} points gave finite numbers. Narrow the bounds or mend it.",
                param="objective",
            )
        call.usage.model = f"{ENGINE}/{request.algorithm}"
        names = [variable.name for variable in request.variables]
        return OptimizeResponse(
            engine=ENGINE,
            algorithm=request.algorithm,
            feasible=found.violation == 0,
            best=BestPoint(
                variables=dict(zip(names, found.point.tolist(), strict=True)),
                value=found.value,
                violation=found.violation,
            ),
            evaluations=found.evaluations,
            generations=found.generations,
            stopped=found.stopped,
            curve=[
                ProgressPoint(evaluations=step.evaluations, value=step.value, violation=step.violation)
                for step in found.curve
            ],
        )


def _problem(request: OptimizeRequest) -> Problem:
    _check_variables(request.variables)
    names = [variable.name for variable in request.variables]
    objective = _read(parse, request.objective, names, "objective")
    constraints = [
        _read(parse_inequality, text, names, f"constraints[{index}]") for index, text in enumerate(request.constraints)
    ]
    parts = objective.nodes + sum(constraint.nodes for constraint in constraints)
    if parts > MAX_NODES:
        raise InvalidInput(
            "expression_invalid",
            f"The objective and the constraints have {parts} parts; at most {MAX_NODES} are allowed. Write less.",
            param="constraints",
        )
    variables = [Variable(each.name, each.low, each.high, each.integer) for each in request.variables]
    return Problem(variables, objective, constraints, request.direction == "maximize")


def _read(
    parser: Callable[[str, Sequence[str]], Expression], text: str, names: Sequence[str], param: str
) -> Expression:
    try:
        return parser(text, names)
    except BadExpression as error:
        message = f"{param}, character {error.position}: {error.message}."
        raise InvalidInput("expression_invalid", message, param=param, position=error.position) from None


def _check_variables(variables: Sequence[VariableBounds]) -> None:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        reason = None
        if variable.name in seen:
            reason = "the name is used twice"
        elif not is_free_name(variable.name):
            reason = "the name means something else in expressions"
        elif variable.low >= variable.high:
            reason = "`low` must be below `high`"
        elif variable.integer and not (_is_whole(variable.low) and _is_whole(variable.high)):
            reason = "the bounds of an integer must be whole"
        if reason is not None:
            raise InvalidInput("variables_invalid", f"variables[{index}]: {reason}.", param=f"variables[{index}]")
        seen.add(variable.name)


def _is_whole(number: float) -> bool:
    return number == math.floor(number)
