"""Requests and responses of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omni.inference.fields import NO_NUL
from omni.inference.registry.schemas import ALIAS
from omni.inference.tabular.experiments.schemas import Bounds, Comparison

NAME = r"^[a-zA-Z][a-zA-Z0-9._-]{0,99}$"
CanaryState = Literal["running", "promoted", "rolled_back"]
VersionName = Annotated[
    Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=ALIAS)],
    Field(description="A number, or an alias: then the version that it names now."),
]


class WeightedVersion(BaseModel):
    version: VersionName
    weight: Annotated[int, Field(ge=1, le=1_000, description="Its share is its weight over the sum of all.")] = 1


class Rollback(BaseModel):
    """What ends a canary, judged on its requests since the step began."""

    error_rate: Annotated[float, Field(ge=0, le=1, description="Most of its requests that may fail.")] = 0.05
    p95_ms: Annotated[float | None, Field(gt=0, le=600_000, description="Highest 95th percentile of its latency.")] = (
        None
    )
    score_drop: Annotated[
        float | None,
        Field(
            ge=0,
            le=1e9,
            description="How much lower its mean score may be than the others'. It goes back when the whole 95 % "
            "interval of the difference is beyond. It goes up only when both it and the others have 30 scores.",
        ),
    ] = None
    minimum_scores: Annotated[
        int, Field(ge=30, le=1_000_000, description="With `score_drop`: scores of the canary, before it is judged.")
    ] = 30


class CanaryRequest(BaseModel):
    version: VersionName
    percents: Annotated[
        list[Annotated[int, Field(ge=1, le=100)]],
        Field(min_length=1, max_length=20, description="Its share of the users, step by step; each larger."),
    ] = [5, 25, 50]
    minimum_requests: Annotated[
        int, Field(ge=1, le=10_000_000, description="Requests that it must have answered in a step to go up.")
    ] = 100
    rollback: Rollback = Rollback()

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if any(first >= second for first, second in zip(self.percents, self.percents[1:], strict=False)):
            raise ValueError("each of percents must be larger than the one before")
        return self


class ShadowRequest(BaseModel):
    """A version that is asked, too, and whose answers nobody gets."""

    version: VersionName
    tolerance: Annotated[
        float, Field(ge=0, le=1, description="Numbers further apart than this (relative above 1) disagree.")
    ] = 0.001


class DeploymentRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "churn-live",
                    "model": "churn",
                    "versions": [{"version": 1, "weight": 90}, {"version": 2, "weight": 10}],
                    "canary": {"version": 3, "percents": [5, 25, 50], "rollback": {"error_rate": 0.02, "p95_ms": 80}},
                    "shadow": {"version": 4},
                }
            ]
        }
    )

    name: Annotated[str, Field(pattern=NAME)]
    model: Annotated[str, Field(min_length=1, max_length=100, description="Name or id of a registered model.")]
    versions: Annotated[list[WeightedVersion], Field(min_length=1, max_length=10)]
    canary: CanaryRequest | None = None
    shadow: ShadowRequest | None = None


class DeploymentChange(BaseModel):
    """What is left out stays; null for `canary` or `shadow` ends it."""

    versions: Annotated[list[WeightedVersion] | None, Field(min_length=1, max_length=10)] = None
    canary: CanaryRequest | None = None
    shadow: ShadowRequest | None = None


class LiveVersion(BaseModel):
    version: int
    weight: int


class CanaryStatus(BaseModel):
    version: int
    state: CanaryState
    percents: list[int]
    step: Annotated[int, Field(description="0 = the first.")]
    percent: Annotated[int, Field(description="Its share of the users now.")]
    minimum_requests: int
    rollback: Rollback
    requests: Annotated[int, Field(description="That it has answered in this step.")]


class Shadow(BaseModel):
    version: int
    tolerance: float


class DeploymentEvent(BaseModel):
    id: UUID
    kind: Literal["created", "changed", "stepped", "promoted", "rolled_back"]
    version: int | None
    reason: str
    figures: Annotated[dict[str, Any], Field(description="What the decision was made by.")]
    created_at: datetime


class Deployment(BaseModel):
    id: UUID
    name: str
    model: str
    versions: list[LiveVersion]
    canary: CanaryStatus | None
    shadow: Shadow | None
    revision: Annotated[int, Field(description="Grows with every change of who answers whom.")]
    history: Annotated[list[DeploymentEvent], Field(description="The last 50, newest first; empty in lists.")]
    created_at: datetime
    updated_at: datetime


class DeploymentList(BaseModel):
    data: Annotated[list[Deployment], Field(description="Newest first.")]
    next_cursor: Annotated[UUID | None, Field(description="Send it as `cursor` for the next page; null = the last.")]


class DeploymentPredictRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"inputs": {"features": [[0.1, 2.5]]}, "user": "customer-17"}]}
    )

    user: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            pattern=NO_NUL,
            description="Who is asking: always answered by the same version, as long as shares stay. It is hashed, and "
            "not kept. Without one, each request is on its own.",
        ),
    ] = None
    inputs: Annotated[dict[str, Any] | None, Field(max_length=64, description="As for the model itself.")] = None
    rows: Annotated[list[dict[str, Any]] | None, Field(min_length=1, max_length=10_000)] = None
    explain: bool = False


class DeploymentPredictResponse(BaseModel):
    """The version's answer, and:"""

    model_config = ConfigDict(extra="allow")

    model: str
    version: int
    deployment: str
    role: Annotated[Literal["live", "canary"], Field(description="As what the version answered.")]
    prediction_id: Annotated[str, Field(description="For feedback on this answer.")]


class FeedbackRequest(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"prediction_id": "pred-…", "score": 1.0}]})

    prediction_id: Annotated[str, Field(max_length=200)]
    score: Annotated[
        float, Field(ge=-1e9, le=1e9, allow_inf_nan=False, description="How good the answer was; higher is better.")
    ]
    outcome: Annotated[str | None, Field(max_length=1_000, pattern=NO_NUL, description="What happened, for you.")] = (
        None
    )


class Feedback(BaseModel):
    deployment: str
    version: int
    counted: Annotated[bool, Field(description="False: there was feedback on this answer already; the first counts.")]


class Latency(BaseModel):
    p50_ms: float
    p95_ms: float


class Scores(BaseModel):
    count: int
    mean: float
    interval: Annotated[Bounds | None, Field(description="95 %, Student's t; null below two scores.")]


class VersionReport(BaseModel):
    version: int
    role: Literal["live", "canary", "shadow"]
    requests: int
    errors: Annotated[int, Field(description="That the version is to blame for: it failed, died or was too slow.")]
    error_rate: float | None
    latency: Annotated[
        Latency | None, Field(description="From a histogram whose steps are a quarter of a doubling: at most 19 % off.")
    ]
    scores: Scores | None
    disagreements: Annotated[int, Field(description="Of a shadow: answers that differed from what was answered.")]
    skipped: Annotated[int, Field(description="Of a shadow: requests that it was not asked, because it was behind.")]


class Report(BaseModel):
    deployment: str
    since: datetime
    versions: list[VersionReport]
    control: Annotated[int | None, Field(description="The version that the others' scores are compared with.")]
    comparisons: Annotated[
        list[Comparison],
        Field(description="Mean scores of versions with two scores and more, by Welch's t-test, corrected by Holm."),
    ]
