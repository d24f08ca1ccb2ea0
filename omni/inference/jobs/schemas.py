"""Requests and responses of the job endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, PrivateAttr

from omni.contracts.quotes import Terms, cost_nanos, from_row, to_row
from omni.kit.money import format_nanos

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
Level = Literal["info", "warning", "error"]


class JobError(BaseModel):
    code: str
    message: Annotated[str, Field(description="What to do about it.")]


class QuoteLine(BaseModel):
    meter: Annotated[str, Field(examples=["training_ms"])]
    most: Annotated[int, Field(description="Most units that the job may use; it pays for those that it does.")]
    price: Annotated[str, Field(description="Of `per_quantity` units, in `currency`.", examples=["0.00000001"])]
    per_quantity: int


class JobQuote(BaseModel):
    """What a job costs at most. It holds, whatever prices become meanwhile."""

    currency: Annotated[str, Field(examples=["EUR"])]
    not_to_exceed: Annotated[str, Field(description="In `currency`, without tax.", examples=["0.6"])]
    lines: list[QuoteLine]
    _terms: Terms = PrivateAttr(default_factory=dict)

    @property
    def terms(self) -> Terms:
        """The same as the gateway reads it."""
        return self._terms

    @classmethod
    def of(cls, currency: str, terms: Terms) -> Self:
        """The quote on these terms."""
        lines = [
            QuoteLine(meter=meter, most=t.most, price=format_nanos(t.price_nanos), per_quantity=t.per_quantity)
            for meter, t in terms.items()
        ]
        quote = cls(currency=currency, not_to_exceed=format_nanos(cost_nanos(terms)), lines=lines)
        quote._terms = dict(terms)
        return quote

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        return {"currency": self.currency, "terms": to_row(self._terms)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The quote of `to_row`."""
        return cls.of(row["currency"], from_row(row["terms"]))


class Job(BaseModel):
    """Something that takes long. `kind` says what, and what `progress` and `result` hold."""

    id: UUID
    kind: Annotated[str, Field(examples=["automl"])]
    state: State
    priority: Annotated[int, Field(ge=-10, le=10, description="Higher ones begin first.")]
    input: dict[str, Any]
    progress: Annotated[dict[str, Any], Field(description="How far it has come, by kind; empty before it began.")]
    result: Annotated[dict[str, Any] | None, Field(description="Ids of what it made; null until it has succeeded.")]
    error: Annotated[JobError | None, Field(description="Why it failed.")]
    quote: Annotated[JobQuote | None, Field(description="What it costs at most; null where requests are charged.")]
    webhook_url: Annotated[str | None, Field(description="Where its end is posted to.")]
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
