"""Bodies of the meters' and the usage API."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Aggregation = Literal["count", "sum", "max", "latest", "unique", "average", "weighted_sum"]
MeterScope = Literal["platform", "operator"]
Window = Literal["hour", "day", "month"]
Format = Literal["csv", "parquet"]

_PROPERTY = "A member of the event's data, dotted where it is nested."


class MeterOut(BaseModel):
    """A meter."""

    code: str = Field(examples=["input_tokens"])
    name: str
    unit: str
    description: str
    aggregation: Aggregation
    event_type: str = Field(description="What events carry in `type`.", examples=["com.example.render"])
    value_property: str | None
    unique_property: str | None
    filters: dict[str, list[str]]
    dimensions: list[str]
    scope: MeterScope
    active: bool


class MeterList(BaseModel):
    data: list[MeterOut]


class NewMeter(BaseModel):
    """A meter of the operator's own. What it counts cannot be changed afterwards."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, max_length=64, examples=["rendered_seconds"])
    name: str = Field(min_length=1, max_length=100, examples=["Rendered seconds"])
    unit: str = Field(min_length=1, max_length=32, examples=["second"])
    description: str = Field("", max_length=500)
    aggregation: Aggregation = Field(examples=["sum"])
    event_type: str = Field(min_length=1, max_length=200, examples=["com.example.render"])
    value_property: str | None = Field(None, max_length=200, description=_PROPERTY, examples=["seconds"])
    unique_property: str | None = Field(None, max_length=200, description=_PROPERTY)
    filters: dict[str, list[str]] = Field(
        default_factory=dict, description="Allowed values by dimension; other events do not count."
    )
    dimensions: list[str] = Field(
        default_factory=list,
        description="What usage can be grouped by: subject, source, project or members of the data.",
        examples=[["region"]],
    )


class MeterPatch(BaseModel):
    """What may change of a meter."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=100)
    unit: str | None = Field(None, min_length=1, max_length=32)
    description: str | None = Field(None, max_length=500)
    active: bool | None = Field(None, description="False retires it: events that only it counts are refused.")


class UsagePointOut(BaseModel):
    """Usage of one group in one window."""

    start: datetime
    meter: str
    group: str = Field(description="The values that are grouped by, else the meter.")
    dimensions: dict[str, str]
    quantity: int | str = Field(
        description="In the meter's unit: an integer, or a decimal in text, rounded to 12 places."
    )
    events: int = Field(description="Events that contributed.")


class UsageOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"window": "day", "group_by": ["meter"], "data": []}]})

    window: Window
    group_by: list[str]
    data: list[UsagePointOut]


class CountedEventOut(BaseModel):
    """An event that usage counts."""

    id: str = Field(description="The request id, for the platform's own meters.")
    source: str
    time: datetime
    value: str = Field(description="A decimal.")
    cursor: str


class CountedEventsOut(BaseModel):
    data: list[CountedEventOut]


class UsageProblemOut(BaseModel):
    """Events that do not count as somebody may think they do."""

    code: str = Field(examples=["not_counted"])
    what: str = Field(description="The meter or the event type, where there is one.")
    events: int
    sample: str = Field(description="One of them.")
    tenant_id: UUID | None = None


class UsageProblemsOut(BaseModel):
    data: list[UsageProblemOut]


class MarginOut(BaseModel):
    """What the requests of a group earned, and what providers charge for them."""

    group: str = Field(description="The tenant's id, the model or the endpoint.")
    requests: int
    earned_nanos: int = Field(description="By the price list, nano-units of the platform's currency.")
    cost_nanos: int
    written_off_nanos: int = Field(description="Beyond hard ceilings, not charged.")
    margin_nanos: int = Field(description="Earned less cost.")


class MarginsOut(BaseModel):
    data: list[MarginOut]
