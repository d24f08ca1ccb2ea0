"""Request and response of `/v1/anomalies/stream`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.fields import EchoedTime, Timestamp
from omni.inference.tabular.schemas import Number

MAX_POINTS = 1_000
MAX_STATE = 32_768


class StreamPoint(BaseModel):
    time: Annotated[Timestamp, Field(description="Of the point; without a zone UTC. It is the point's identity.")]
    value: Annotated[Number, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]


class StreamOptions(BaseModel):
    method: Annotated[
        Literal["level", "quantiles"],
        Field(
            description="`level`: distance from a moving level in robust standard deviations, for values around one "
            "level. `quantiles`: distance beyond the quartiles in interquartile ranges, by a t-digest, for values of "
            "any distribution, e.g. skewed ones or those of several levels."
        ),
    ] = "level"
    half_life: Annotated[int, Field(ge=5, le=10_000, description="Points after which an old one weighs half.")] = 50
    warm_up: Annotated[
        int,
        Field(ge=8, le=200, description="First points; none has a score, level and spread begin with them."),
    ] = 20
    threshold: Annotated[
        float | None,
        Field(gt=0, le=1e6, description="Scores above it are anomalies; else 4 for `level`, 3 for `quantiles`."),
    ] = None


class StreamRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"points": [{"time": "2026-01-01T00:00:00Z", "value": 21.5}], "state": None}]}
    )

    points: Annotated[list[StreamPoint], Field(min_length=1, max_length=MAX_POINTS, description="Oldest first.")]
    state: Annotated[
        str | None,
        Field(max_length=MAX_STATE, description="What the last answer for this series gave; none for a new series."),
    ] = None
    options: Annotated[
        StreamOptions | None, Field(description="Only for a new series: they are kept in the state.")
    ] = None


class StreamResult(BaseModel):
    time: EchoedTime
    status: Annotated[
        Literal["scored", "warming_up", "repeated", "late"],
        Field(
            description="repeated: among the last 64 points there is one of this time; its answer is given again and "
            "nothing is learnt. late: older than the latest point and not among them; ignored."
        ),
    ]
    score: Annotated[
        float | None,
        Field(description="How far the value is from what was expected, by `method`; at most 1e9."),
    ]
    expected: float | None
    anomaly: bool


class StreamResponse(BaseModel):
    engine: Annotated[str, Field(examples=["omni-0.1.0"])]
    results: list[StreamResult]
    points_seen: Annotated[int, Field(description="Points that were learnt from, over all requests.")]
    state: Annotated[
        str, Field(description="Send it with the next points of this series. Sealed: only your account can use it.")
    ]
