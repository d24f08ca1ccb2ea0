"""Requests and responses of the batch endpoints, in OpenAI's shape."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.fields import NO_NUL
from omni.inference.jobs.schemas import Job
from omni.kit.ids import prefixed_id

KIND = "batch"
PREFIX = "batch_"
Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/moderations"]
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]


class OutputExpiry(BaseModel):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3_600, le=30 * 24 * 3_600)]


class BatchRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "input_file_id": "file-01934f0c5b7a7c3e9a1d2b3c4d5e6f70",
                    "endpoint": "/v1/embeddings",
                    "completion_window": "24h",
                }
            ]
        }
    )

    input_file_id: Annotated[
        str, Field(max_length=100, pattern=NO_NUL, description="A file with the purpose `batch`: JSON lines.")
    ]
    endpoint: Annotated[Endpoint, Field(description="Where all of its requests go.")]
    completion_window: Annotated[Literal["24h"], Field(description="What is not done by then is left out.")]
    metadata: Annotated[
        dict[
            Annotated[str, Field(max_length=64, pattern=NO_NUL)], Annotated[str, Field(max_length=512, pattern=NO_NUL)]
        ]
        | None,
        Field(max_length=16, description="Up to 16 pairs of your own."),
    ] = None
    output_expires_after: Annotated[OutputExpiry | None, Field(description="Default: 30 days.")] = None


class BatchError(BaseModel):
    code: str
    message: str
    param: str | None = None
    line: int | None = None


class BatchErrors(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchError]


class RequestCounts(BaseModel):
    total: int
    completed: int
    failed: int


class Batch(BaseModel):
    """A batch, as OpenAI shows it. Moments are Unix seconds."""

    id: Annotated[str, Field(examples=["batch_01934f0c5b7a7c3e9a1d2b3c4d5e6f70"])]
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: Annotated[BatchErrors | None, Field(description="Why the file is no batch; nothing was done then.")]
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Status
    output_file_id: Annotated[str | None, Field(description="Answers, a line each, in the order of the requests.")]
    error_file_id: Annotated[str | None, Field(description="Requests that got no good answer.")]
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: dict[str, str] | None


class BatchList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Batch]
    first_id: str | None
    last_id: Annotated[str | None, Field(description="Send it as `after` for the next page.")]
    has_more: bool


_ENDED: dict[str, Status] = {
    "succeeded": "completed", "failed": "failed", "cancelled": "cancelled", "expired": "expired",
}  # fmt: skip


def to_api_batch(job: Job) -> Batch:
    """A job as a batch."""
    progress, result = job.progress, job.result or {}
    ended = None if job.ended_at is None else int(job.ended_at.timestamp())
    status = _status(job)

    def when(wanted: Status) -> int | None:
        return ended if status == wanted else None

    errors: list[dict[str, Any]] = result.get("errors") or []
    if job.error is not None and not errors:
        errors = [{"code": job.error.code, "message": job.error.message}]
    return Batch(
        id=prefixed_id(PREFIX, job.id),
        endpoint=job.input["endpoint"],
        errors=BatchErrors(data=[BatchError(**error) for error in errors]) if errors else None,
        input_file_id=job.input["input_file_id"],
        status=status,
        output_file_id=result.get("output_file_id"),
        error_file_id=result.get("error_file_id"),
        created_at=int(job.created_at.timestamp()),
        in_progress_at=progress.get("in_progress_at"),
        expires_at=int(job.expires_at.timestamp()),
        finalizing_at=progress.get("finalizing_at"),
        completed_at=when("completed"),
        failed_at=when("failed"),
        expired_at=when("expired"),
        cancelling_at=None if job.cancel_requested_at is None else int(job.cancel_requested_at.timestamp()),
        cancelled_at=when("cancelled"),
        request_counts=RequestCounts(**{name: progress.get(name, 0) for name in ("total", "completed", "failed")}),
        metadata=job.input.get("metadata"),
    )


def _status(job: Job) -> Status:
    if job.state in _ENDED:
        return _ENDED[job.state]
    if job.cancel_requested_at is not None:
        return "cancelling"
    if "finalizing_at" in job.progress:
        return "finalizing"
    return "in_progress" if "in_progress_at" in job.progress else "validating"
