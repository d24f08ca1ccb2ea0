"""What a job of AutoML and a prediction are asked with, and what they answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictBool, model_validator

from omni.inference.fields import NO_NUL

KIND = "automl"
PREDICTIONS_KIND = "predictions"
Task = Literal["classification", "regression", "forecasting"]
Metric = Literal["log_loss", "roc_auc", "accuracy", "rmse", "mae", "r2"]
METRICS: dict[Task, tuple[Metric, ...]] = {
    "classification": ("log_loss", "roc_auc", "accuracy"),
    "regression": ("rmse", "mae", "r2"),
    "forecasting": ("mae", "rmse"),
}
"""The first is what is used when none is asked for."""
MAX_PREDICTED_ROWS, MAX_EXPLAINED_ROWS, MAX_FEATURES = 10_000, 100, 2_000
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]


class AutomlRequest(BaseModel):
    """The input of a job of the kind `automl`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "dataset_id": "01934f0c-5b7a-7c3e-9a1d-2b3c4d5e6f70",
                    "target": "churned",
                    "model_name": "churn",
                    "time_budget_seconds": 300,
                }
            ]
        },
    )

    dataset_id: UUID
    target: Annotated[Name, Field(description="The column that is to be predicted.")]
    model_name: Annotated[Name, Field(description="The model becomes the next version of your model of this name.")]
    task: Annotated[
        Task | None,
        Field(
            description="Without it: `forecasting` when `horizon` is sent, `classification` for true/false, text, and "
            "up to 10 different whole numbers, else `regression`."
        ),
    ] = None
    time_budget_seconds: Annotated[
        int, Field(ge=10, le=3_600, description="Most time that is trained, and charged; a search that finds no better "
                   "model any more ends earlier.")
    ] = 300  # fmt: skip
    metric: Annotated[
        Metric | None,
        Field(description="What is made as good as possible: log_loss (default), roc_auc (two classes) or accuracy; "
              "rmse (default), mae or r2; mae (default) or rmse of forecasts."),
    ] = None  # fmt: skip
    features: Annotated[
        list[Name] | None, Field(min_length=1, max_length=MAX_FEATURES, description="Only these columns are used.")
    ] = None
    exclude: Annotated[list[Name], Field(max_length=MAX_FEATURES, description="Columns that are not used.")] = []
    time_column: Annotated[Name | None, Field(description="Of forecasting: the column that orders the rows.")] = None
    horizon: Annotated[int | None, Field(ge=1, le=500, description="Of forecasting: how many steps ahead.")] = None
    season_length: Annotated[int, Field(ge=1, le=366, description="Of forecasting: rows in a season; 1 = none.")] = 1
    seed: Annotated[int, Field(ge=0, lt=2**31, description="The same seed and trials give the same model.")] = 0
    max_trials: Annotated[
        int | None, Field(ge=1, le=500, description="Ends the search after so many trials, on any machine alike.")
    ] = None
    held_out_share: Annotated[
        float,
        Field(ge=0, le=0.4, description="Part of the rows that the search never sees, for the model card's figures. "
              "The served model is then trained with all rows. 0 = the card has cross-validated figures only."),
    ] = 0.2  # fmt: skip

    @model_validator(mode="after")
    def _agrees(self) -> AutomlRequest:
        if self.task == "forecasting" and (self.horizon is None or self.time_column is None):
            raise ValueError("forecasting needs `time_column` and `horizon`")
        if self.horizon is not None and self.task not in (None, "forecasting"):
            raise ValueError("only forecasting has a `horizon`")
        if self.horizon is not None and self.time_column is None:
            raise ValueError("`horizon` needs a `time_column`")
        if self.target in (self.features or ()):
            raise ValueError("the target cannot be a feature")
        return self


PredictedCell = Annotated[float, Strict()] | Annotated[str, Strict(), Field(max_length=10_000)] | StrictBool | None


class PredictRequest(BaseModel):
    """The body of a prediction by a model of AutoML."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rows": [{"age": 31, "city": "Koper"}], "explain": True}]}
    )

    rows: Annotated[
        list[Annotated[dict[str, PredictedCell], Field(max_length=2 * MAX_FEATURES)]],
        Field(
            min_length=1,
            max_length=MAX_PREDICTED_ROWS,
            description="Feature → value. A feature that is left out or null is missing; a category that the training "
            "data did not have counts as missing; keys that are no feature are ignored: all three are counted in "
            "`warnings`.",
        ),
    ]
    explain: Annotated[
        bool, Field(description=f"Also what each feature contributed; of up to {MAX_EXPLAINED_ROWS} rows.")
    ] = False


class PredictionsRequest(BaseModel):
    """The input of a job of the kind `predictions`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"model": "churn", "dataset_id": "01934f0c-5b7a-7c3e-9a1d-2b3c4d5e6f70", "keep": ["id"]}]
        },
    )

    model: Annotated[Name, Field(description="Name or id of your model.")]
    version: Annotated[
        str | None,
        Field(max_length=100, pattern=NO_NUL, description="Number or alias of a version; without it the one served."),
    ] = None
    dataset_id: UUID
    keep: Annotated[
        list[Name], Field(max_length=100, description="Columns of the dataset that are written beside the predictions.")
    ] = []
    explain: Annotated[bool, Field(description="Also each row's contributions; only in JSON lines.")] = False
    format: Annotated[Literal["jsonl", "csv"], Field(description="Of the file of predictions.")] = "jsonl"

    @model_validator(mode="after")
    def _agrees(self) -> PredictionsRequest:
        if self.explain and self.format == "csv":
            raise ValueError("contributions are only in JSON lines: send `format` as `jsonl`")
        return self


Signature = dict[str, Any]
"""`inputs`: a list of {name, kind, categories?}; `outputs`: a list of {name, kind, classes?}."""
