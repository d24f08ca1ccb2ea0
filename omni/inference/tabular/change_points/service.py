"""What `/v1/series/change-points` does."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import TYPE_CHECKING

from omni.inference.runtime.call import Call
from omni.inference.runtime.lazy import LazyEngine
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.change_points.schemas import (
    ChangePoint,
    ChangePointRequest,
    ChangePointResponse,
    Segment,
)
from omni.inference.tabular.checks import check_series
from omni.kit.errors import InvalidInput

if TYPE_CHECKING:
    from omni.inference.tabular.change_points.detection import ChangePointDetector, Changes


class ChangePointService:
    """Finds changes of series."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._detector: LazyEngine[ChangePointDetector] = LazyEngine(
            "omni.inference.tabular.change_points.detection", lambda module: module.ChangePointDetector()
        )

    async def detect(self, call: Call, request: ChangePointRequest) -> ChangePointResponse:
        """Change points and segments.

        Raises InvalidInput `series_too_short`, `value_not_usable` or `change_options_invalid`.
        """
        check_series(request.values, "values")
        _check_options(request)

        def work() -> ChangePointResponse:
            engine = self._detector.get()
            found = engine.detect(request.values, request.wanted(), call.seconds_left)
            return _response(engine.name, request.values, found)

        response = await self._pool.run(call, "tabular", work)
        call.usage.model = f"{response.engine}/{request.method}"
        return response


def _check_options(request: ChangePointRequest) -> None:
    param, reason = "", ""
    if len(request.values) < 2 * request.min_segment:
        param, reason = "min_segment", "two segments are longer than the series; shorten it"
    elif request.count is not None and (request.method != "binary_segmentation" or request.penalty is not None):
        param, reason = "count", "it is for binary_segmentation, and without a penalty"
    if reason:
        raise InvalidInput("change_options_invalid", f"{param}: {reason}.", param=param)


def _response(engine: str, values: list[float], found: Changes) -> ChangePointResponse:
    edges = [0, *found.places, len(values)]
    segments = [
        Segment(
            start=start,
            end=end,
            mean=statistics.fmean(values[start:end]),
            standard_deviation=statistics.stdev(values[start:end]),
        )
        for start, end in pairwise(edges)
    ]
    changes = [
        ChangePoint(
            index=place,
            shift=segments[number + 1].mean - segments[number].mean,
            gain=found.gains[number],
            p_value=found.p_values[number],
            adjusted_p_value=found.adjusted[number],
        )
        for number, place in enumerate(found.places)
    ]
    return ChangePointResponse(
        engine=engine, penalty=found.penalty, noise=found.noise, change_points=changes, segments=segments
    )
