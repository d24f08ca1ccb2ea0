"""Requests and responses of the job endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
Level = Literal["info", "warning", "error"]


class JobError(BaseModel):
    code: str
    message: Annotated[str, Field(description="What to do about it.")]


class Job(BaseModel):
    """Something that takes long. `kind` says what, and what `progress` and `result` hold."""

    id: UUID
    kind: Annotated[str, Field(examples=["batch"])]
    state: State
    priority: Annotated[int, Field(ge=-10, le=10, description="Higher ones begin first.")]
    input: dict[str, Any]
    progress: Annotated[dict[str, Any], Field(description="How far it has come, by kind; empty before it began.")]
    result: Annotated[dict[str, Any] | None, Field(description="Ids of what it made; null until it has succeeded.")]
    error: Annotated[JobError | None, Field(description="Why it failed.")]
    attempts: Annotated[int, Field(description="How often a worker took it up: it goes on where another stopped.")]
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: Annotated[datetime, Field(description="What is not done by then is left out.")]


class JobList(BaseModel):
    data: Annotated[list[Job], Field(description="Newest first.")]
    next_cursor: Annotated[UUID | None, Field(description="Send it as `cursor` for the next page; null = the last.")]


class LogLine(BaseModel):
    id: UUID
    level: Level
    message: str
    created_at: datetime


class JobLog(BaseModel):
    data: Annotated[list[LogLine], Field(description="Oldest first.")]
    next_cursor: UUID | None
