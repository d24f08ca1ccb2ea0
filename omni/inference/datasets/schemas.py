"""Requests and responses of the dataset endpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from omni.inference.fields import NO_NUL
from omni.inference.tabular.profiling.schemas import ColumnProfile, TableProblem

Format = Literal["csv", "parquet", "jsonl"]
ColumnType = Literal["number", "boolean", "category", "text", "timestamp", "empty"]
MAX_ROWS, MAX_COLUMNS, MAX_CELLS = 1_000_000, 2_000, 10_000_000
MAX_NAME = 100
PURPOSE = "dataset"


class DatasetRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"file_id": "file-01934f0c5b7a7c3e9a1d2b3c4d5e6f70", "name": "churn 2026"}]}
    )

    file_id: Annotated[
        str,
        Field(max_length=100, pattern=NO_NUL, description="A file that was uploaded with the purpose `dataset`."),
    ]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=NO_NUL, description="What you call it.")]
    format: Annotated[
        Format | None,
        Field(
            description="Without it the file's name decides: .csv, .parquet, .jsonl or .ndjson. CSV: UTF-8 with a line "
            "of names, cells divided by comma, semicolon, tab or |, whichever that line has most of."
        ),
    ] = None


class DatasetColumn(BaseModel):
    """A column, counted over all rows."""

    name: str
    type: Annotated[
        ColumnType,
        Field(
            description="`category`: text with few different values, at most 1,000 and no more than a fifth of the "
            "rows or 50; other text is `text`. `timestamp`: dates and times, in UTC. Whole numbers beyond 2^53: text."
        ),
    ]
    missing: Annotated[
        int,
        Field(ge=0, description="In CSV also NA, N/A, n/a, #N/A, NaN, nan, null, NULL and None without quotes."),
    ]
    distinct: Annotated[int, Field(ge=0, description="Different values that are not missing.")]


class DatasetSummary(BaseModel):
    """A dataset without its columns."""

    id: UUID
    name: str
    rows: Annotated[int, Field(ge=1, examples=[7043])]
    columns: Annotated[int, Field(ge=1, description="How many there are.", examples=[21])]
    stored_bytes: Annotated[int, Field(ge=0, description="Its size as Parquet; it counts as storage.")]
    created_at: datetime


class DatasetList(BaseModel):
    data: list[DatasetSummary]
    next_cursor: Annotated[UUID | None, Field(description="Send it as `cursor` for the next page; null = the last.")]


class DatasetProfile(BaseModel):
    """What `/v1/tabular/profile` says about the table, or about rows taken evenly from it."""

    profiled_rows: Annotated[int, Field(ge=1, description="Fewer than `rows` where the table has over 200,000 cells.")]
    duplicate_rows: Annotated[int, Field(ge=0, description="Of the profiled rows, those that have been there before.")]
    columns: list[ColumnProfile]
    problems: Annotated[list[TableProblem], Field(description="Worst first; empty when none was found.")]


class Dataset(BaseModel):
    """A dataset, its columns, and what was found in it."""

    id: UUID
    name: str
    source_file_id: Annotated[str, Field(description="The file that it was made of; it is not needed any more.")]
    source_sha256: Annotated[str, Field(description="Of that file's bytes, hex.")]
    format: Format
    rows: Annotated[int, Field(ge=1)]
    columns: list[DatasetColumn]
    stored_bytes: Annotated[int, Field(ge=0, description="Its size as Parquet; it counts as storage.")]
    created_at: datetime
    profile: DatasetProfile


class DatasetDriftRequest(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current_dataset_id": "01934f0c-5b7a-7c3e-9a1d-2b3c4d5e6f70"}]}
    )

    current_dataset_id: Annotated[UUID, Field(description="The later table; this one is the reference.")]
    columns: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=NO_NUL)]] | None,
        Field(min_length=1, max_length=MAX_COLUMNS, description="Only these; without it all that both have."),
    ] = None
    significance: Annotated[float, Field(gt=0, le=0.5, description="Level of the tests, after Holm.")] = 0.05
