"""The kinds of jobs that compute, as they are asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from omni.inference.automl.schemas import AutomlRequest, PredictionsRequest
from omni.inference.compute.schemas import JobOptions


class QuotedAutoml(BaseModel):
    """Trains a model on a dataset."""

    kind: Literal["automl"]
    input: AutomlRequest


class QuotedPredictions(BaseModel):
    """Asks a model for each row of a dataset."""

    kind: Literal["predictions"]
    input: PredictionsRequest


class NewAutoml(QuotedAutoml, JobOptions):
    """Trains a model on a dataset. `result` names the model's version, with its leaderboard."""


class NewPredictions(QuotedPredictions, JobOptions):
    """Asks a model for each row of a dataset. `result` names the file of the answers."""


QuotedBody = Annotated[QuotedAutoml | QuotedPredictions, Field(discriminator="kind")]
NewJobBody = Annotated[NewAutoml | NewPredictions, Field(discriminator="kind")]
