"""Requests and responses of the registry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from omni.inference.fields import NO_NUL

MODEL_NAME = r"^[a-zA-Z][a-zA-Z0-9._-]{0,99}$"
ALIAS = r"^[a-z][a-z0-9._-]{0,49}$"
CHAMPION = "champion"
MAX_OBJECT_BYTES = 64 * 1024
State = Literal["ready", "withdrawn"]


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = orjson.dumps(value)
    except (TypeError, ValueError):
        raise ValueError("numbers must fit into 64 bits and texts be Unicode") from None
    if len(text) > MAX_OBJECT_BYTES:
        raise ValueError(f"it has at most {MAX_OBJECT_BYTES} bytes of JSON")
    if b"\\u0000" in text:
        raise ValueError("texts hold no NUL characters")
    return value


def _no_id(name: str) -> str:
    """Where a model is named, an id may stand as well."""
    try:
        UUID(name)
    except ValueError:
        return name
    raise ValueError("a name that reads as an id names nothing")


ModelName = Annotated[
    str,
    Field(pattern=MODEL_NAME, description="A letter, then up to 99 letters, digits, `.`, `_` and `-`; unique."),
    AfterValidator(_no_id),
]
Task = Annotated[
    str,
    Field(
        pattern=r"^([a-z][a-z0-9_-]{0,29})?$",
        description="`classification`, `regression`, `forecasting` or another word; empty where nobody knows.",
        examples=["classification"],
    ),
]
Description = Annotated[str, Field(max_length=4_000, pattern=NO_NUL)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable)]
Metric = Annotated[float, Field(allow_inf_nan=False)]
Metrics = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)], Metric],
    Field(max_length=100, description="How good it is, by name.", examples=[{"auc": 0.91}]),
]


class ModelRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "churn", "task": "classification", "description": "Who leaves within 90 days."}]
        }
    )

    name: ModelName
    task: Task = ""
    description: Description = ""


class ModelChange(BaseModel):
    """What is left out stays."""

    name: ModelName | None = None
    task: Task | None = None
    description: Description | None = None


class RegisteredModel(BaseModel):
    id: UUID
    name: str
    task: str
    description: str
    version_count: int
    latest_version: Annotated[int | None, Field(description="The newest version's number; null before the first.")]
    aliases: Annotated[dict[str, int], Field(description="Alias → version.", examples=[{"champion": 3}])]
    created_at: datetime


class ModelList(BaseModel):
    data: Annotated[list[RegisteredModel], Field(description="Newest first.")]
    next_cursor: Annotated[UUID | None, Field(description="Send it as `cursor` for the next page; null = the last.")]


class VersionFields(BaseModel):
    """What is said of a file."""

    metrics: Metrics = {}
    card: Annotated[
        JsonObject,
        Field(description="The model card: what it is for, on what it was trained, what to be careful with."),
    ] = {}
    lineage: Annotated[
        JsonObject, Field(description="What it came from.", examples=[{"dataset": "customers-2026-10", "git": "1f3c"}])
    ] = {}
    dimensions: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=200)], Annotated[int, Field(ge=1, le=4_096)]],
        Field(
            max_length=32,
            description="Lengths for named dimensions when it is tried out with zeros; 1 where nothing is said.",
            examples=[{"tokens": 16}],
        ),
    ] = {}


class VersionRequest(VersionFields):
    """A file that is in /v1/files already."""

    file_id: Annotated[str, Field(max_length=100, examples=["file-01934f0c5b7a7c3e9a1d2b3c4d5e6f70"])]


class TensorPort(BaseModel):
    name: str
    dtype: Annotated[str, Field(examples=["float32"])]
    shape: Annotated[
        list[int | str | None] | None,
        Field(description="Lengths; a name or null where the caller chooses; null in all: any shape."),
    ]


class Version(BaseModel):
    model: str
    number: int
    format: Literal["onnx", "automl"]
    state: Annotated[State, Field(description="`withdrawn`: it ended its process three times in a row.")]
    aliases: list[str]
    size_bytes: Annotated[int, Field(description="Of the file; it counts as storage.")]
    sha256: str
    signature: Annotated[
        dict[str, Any],
        Field(
            description="For ONNX `inputs` and `outputs`: name, dtype, shape; `joinable`: rows are answered alike "
            "alone and together, so requests that come together share a run."
        ),
    ]
    metrics: dict[str, float]
    job_id: Annotated[UUID | None, Field(description="The job that made it.")]
    created_at: datetime


class VersionList(BaseModel):
    data: Annotated[list[Version], Field(description="Newest first.")]
    next_cursor: Annotated[int | None, Field(description="Send it as `cursor` for the next page; null = the last.")]


class VersionChange(BaseModel):
    state: Annotated[
        State,
        Field(description="`ready` puts a version that was withdrawn back into service; `withdrawn` takes it out."),
    ]


class AliasRequest(BaseModel):
    version: Annotated[int, Field(ge=1, description="The version that it names from now on.")]


class Alias(BaseModel):
    alias: str
    version: int
    updated_at: datetime


class Measured(BaseModel):
    """What we found in the file, and when we tried it out."""

    ir_version: int
    opsets: Annotated[dict[str, int], Field(description="Domain → version; `` is ONNX's own.")]
    producer: str
    operators: Annotated[dict[str, int], Field(description="Operator → how often.")]
    parameters: Annotated[int, Field(description="Elements of all stored tensors.")]
    metadata: Annotated[dict[str, str], Field(description="What the exporter wrote into it.")]
    load_cpu_ms: float
    run_cpu_ms: Annotated[float, Field(description="CPU time of one run on zeros.")]
    memory_bytes: Annotated[int, Field(description="Most memory of its process, runtime included.")]
    trial_shapes: dict[str, list[int]]


class Card(BaseModel):
    model: str
    version: int
    task: str
    description: str
    given: Annotated[dict[str, Any], Field(description="The card that came with it.")]
    metrics: dict[str, float]
    lineage: dict[str, Any]
    signature: dict[str, Any]
    size_bytes: int
    sha256: str
    measured: Annotated[
        Measured | None, Field(description="Null for what our own training made: its card says what was measured.")
    ]
    created_at: datetime


class PredictRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"inputs": {"features": [[0.1, 2.5, 3.0]]}, "alias": "champion"}]},
    )

    version: Annotated[int | None, Field(ge=1, description="The version to ask.")] = None
    alias: Annotated[
        str | None,
        Field(pattern=ALIAS, description="Or what names it; with neither: `champion`, else the newest version."),
    ] = None
    inputs: Annotated[
        dict[str, Any] | None,
        Field(
            max_length=64,
            description="For ONNX: input → nested lists in its shape, 1,000,000 elements in all. null in an input of "
            "floats is NaN; other numbers must be finite.",
        ),
    ] = None
    rows: Annotated[
        list[dict[str, Any]] | None,
        Field(min_length=1, max_length=10_000, description="For models of training jobs: one object a row."),
    ] = None
    explain: Annotated[bool, Field(description="With `rows`: also what moved each prediction.")] = False


class OutputTensor(BaseModel):
    dtype: str
    shape: list[int]
    data: Annotated[Any, Field(description='Nested lists; NaN is null, infinities are "Infinity" and "-Infinity".')]


class PredictResponse(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str
    version: int
    outputs: Annotated[dict[str, OutputTensor] | None, Field(description="Of ONNX models.")] = None
