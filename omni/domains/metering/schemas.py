"""Bodies of the usage API."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Window = Literal["hour", "day", "month"]
GroupBy = Literal["meter", "endpoint", "model", "project", "key"]


class MeterOut(BaseModel):
    """A meter."""

    code: str = Field(examples=["input_tokens"])
    name: str
    unit: str
    description: str


class MeterList(BaseModel):
    data: list[MeterOut]


class UsagePointOut(BaseModel):
    """Usage of one group in one window."""

    start: datetime
    group: str = Field(description="The meter, endpoint, model, project id or key id, as asked for.")
    quantity: int = Field(description="In the meter's unit.")
    events: int = Field(description="Requests that contributed.")


class UsageOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"window": "day", "group_by": "meter", "data": []}]})

    window: Window
    group_by: GroupBy
    data: list[UsagePointOut]
