"""Request and response of `/v1/series/change-points`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.tabular.change_points.wanted import Wanted
from omni.inference.tabular.schemas import Number

MAX_CHANGES = 50
MAX_VALUES = 5_000  # exact search grows with the square: about a second of CPU
NILE_BEFORE_AND_AFTER = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 774, 840, 874, 694, 940, 833, 701]


class ChangePointRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"values": [*NILE_BEFORE_AND_AFTER], "min_segment": 3}]})

    values: Annotated[
        list[Number],
        Field(
            max_length=MAX_VALUES,
            description="8 to 5,000 finite numbers of at most 1e15 in size, oldest first.",
            json_schema_extra={"minItems": 8},
        ),
    ]
    change: Annotated[
        Literal["mean", "mean_and_variance"],
        Field(
            description="What changes. Values are taken as normal and independent of each other around it; remove a "
            "trend or season first."
        ),
    ] = "mean"
    method: Annotated[
        Literal["pelt", "binary_segmentation"],
        Field(
            description="`pelt` (Killick, Fearnhead, Eckley 2012) finds the segments with the smallest penalised cost; "
            "`binary_segmentation` (Scott, Knott 1974) splits greedily."
        ),
    ] = "pelt"
    penalty: Annotated[
        float | None,
        Field(
            gt=0,
            le=1e9,
            allow_inf_nan=False,
            description="What a further change must gain in twice the log-likelihood; none = BIC: log n for each "
            "parameter of a change (2 for the mean, 3 for mean and variance).",
        ),
    ] = None
    count: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_CHANGES,
            description="For binary_segmentation, in place of a penalty: how many changes to find; fewer where the "
            "segments allow no more.",
        ),
    ] = None
    min_segment: Annotated[int, Field(ge=2, le=2_500, description="Fewest values of a segment, at most half.")] = 5

    def wanted(self) -> Wanted:
        """The options, for the engine."""
        return Wanted(self.change, self.method, self.min_segment, self.penalty, self.count)


class ChangePoint(BaseModel):
    index: Annotated[int, Field(description="Place of the first value after the change, from 0.")]
    shift: Annotated[float, Field(description="Mean of the segment after it less the one before.")]
    gain: Annotated[float, Field(description="What the best split of both segments gains in twice the log-likelihood.")]
    p_value: Annotated[
        float,
        Field(
            description="Share of 499 random orders of both segments (fixed seed) whose best split gains as much: "
            "(1 + that number) / 500. It takes the far ends of the two segments as given, though they were found, too."
        ),
    ]
    adjusted_p_value: Annotated[float, Field(description="Holm's, over all change points.")]


class Segment(BaseModel):
    start: Annotated[int, Field(description="Place of its first value.")]
    end: Annotated[int, Field(description="Place after its last value.")]
    mean: float
    standard_deviation: Annotated[float, Field(description="With n - 1.")]


class ChangePointResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    penalty: Annotated[float | None, Field(description="That was used; null when `count` was given.")]
    noise: Annotated[
        float,
        Field(
            description="Standard deviation within segments that the costs stand on: from the differences of"
            " neighbours (median absolute difference / 0.6745 / sqrt 2), so that changes do not add to it."
        ),
    ]
    change_points: list[ChangePoint]
    segments: list[Segment]
