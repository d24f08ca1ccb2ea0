"""Requests and responses of the file endpoints, in OpenAI's shape."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

PREFIX = "file-"
Purpose = Literal[
    "batch", "batch_output", "assistants", "fine-tune", "vision", "user_data", "evals", "dataset", "predictions"
]
UPLOAD_PURPOSES = ("batch", "assistants", "fine-tune", "vision", "user_data", "evals", "dataset")
SHORTEST_LIFE_SECONDS = 3_600
LONGEST_LIFE_SECONDS = 30 * 24 * 3_600


class File(BaseModel):
    """A file, as OpenAI shows it."""

    id: Annotated[str, Field(examples=["file-01934f0c5b7a7c3e9a1d2b3c4d5e6f70"])]
    object: Literal["file"] = "file"
    bytes: Annotated[int, Field(ge=0, description="Its size; it counts as storage.")]
    created_at: Annotated[int, Field(description="Unix seconds.")]
    expires_at: Annotated[int | None, Field(description="When it will be deleted, Unix seconds; null = never.")] = None
    filename: str
    purpose: Purpose
    status: Annotated[Literal["processed"], Field(description="A file is usable as soon as it is there.")] = "processed"


class FileList(BaseModel):
    object: Literal["list"] = "list"
    data: list[File]
    first_id: str | None
    last_id: Annotated[str | None, Field(description="Send it as `after` for the next page.")]
    has_more: bool


class DeletedFile(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True
