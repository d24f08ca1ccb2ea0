"""`POST /v1/events` and `/v1/events/void`: what the backend serves for the gateway, as the tenant of the API key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from omni.contracts.principal import Principal
from omni.domains.metering.rules.events import binary_event
from omni.domains.metering.service.ingesting import Reporter, ingest, void
from omni.foundation.db.sessions import Database
from omni.foundation.http.json import JSONBytes
from omni.kit.clock import Clock
from omni.kit.errors import InvalidInput, UnsupportedType

EVENT, BATCH, JSON = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"

_ATTRIBUTES = ("specversion", "id", "source", "type")
_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": list(_ATTRIBUTES),
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "maxLength": 200, "description": "Unique with `source`."},
        "source": {"type": "string", "maxLength": 300},
        "type": {"type": "string", "maxLength": 200, "description": "The event type of one or more meters."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened; arrival when left out."},
        "subject": {"type": "string", "maxLength": 200},
        "data": {"type": "object", "description": "What meters count and group by. At most 16 KiB."},
    },
    "example": {
        "specversion": "1.0", "id": "job-17", "source": "/render", "type": "com.example.render",
        "time": "2026-11-24T09:30:00Z", "data": {"seconds": 12.5, "region": "eu"},
    },
}  # fmt: skip
_NAMED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["source", "id"],
    "properties": {"source": {"type": "string"}, "id": {"type": "string"}},
}
_RESULT = {
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "id": {"type": "string"},
        "status": {"enum": ["accepted", "duplicate", "rejected"]},
        "code": {"type": "string", "description": "Of a rejected event."},
        "reason": {"type": "string", "description": "What to do about it."},
    },
}
_INGESTED = {
    "type": "object",
    "properties": {
        **{name: {"type": "integer"} for name in ("accepted", "duplicate", "rejected")},
        "results": {"type": "array", "items": _RESULT, "description": "One for each event, in their order."},
    },
}
_VOIDED = {
    "type": "object",
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "source": {"type": "string"},
                    "id": {"type": "string"},
                    "status": {"enum": ["voided", "not_found"]},
                },
            },
        }
    },
}


@dataclass(frozen=True, slots=True)
class IngestDeps:
    """`principal` is a dependency that says for whom a request works."""

    database: Database
    principal: Callable[[Request], Principal]
    clock: Clock


def ingest_router(deps: IngestDeps) -> APIRouter:
    """The routes of `/v1`."""
    routes = APIRouter(prefix="/v1", tags=["events"])

    @routes.post("/events", openapi_extra=_described(_EVENT_SCHEMA), responses=_answers(_INGESTED))
    async def report_events(request: Request, principal: Principal = Depends(deps.principal)) -> Response:
        """Reports usage as CloudEvents 1.0: one, or up to 10,000 in an array; also one in binary mode, with `ce-`
        headers. Each is accepted, a duplicate (its source and id were accepted within 35 days) or rejected with a code:
        `invalid_event`, `unsupported_specversion`, `invalid_time`, `in_the_future` (over 5 minutes), `too_late` (over
        35 days), `event_too_large`, `unknown_event_type`, `invalid_quantity`, `negative_quantity`,
        `quantity_not_finite`. What was accepted counts at once. Reporting is not metered."""
        items = _items(request, await request.body())
        reporter = Reporter(principal.mode, principal.project_id)
        async with deps.database.write(principal.tenant_id) as session:
            done = await ingest(session, items, reporter, deps.clock.now())
        return JSONBytes(
            {
                "accepted": done.accepted,
                "duplicate": done.duplicate,
                "rejected": done.rejected,
                "results": done.results,
            }
        )

    @routes.post("/events/void", openapi_extra=_described(_NAMED_SCHEMA), responses=_answers(_VOIDED))
    async def void_events(request: Request, principal: Principal = Depends(deps.principal)) -> Response:
        """Takes events back by source and id, within 35 days of their arrival. Voiding again changes nothing."""
        items = _as_list(_parsed(await request.body()))
        async with deps.database.write(principal.tenant_id) as session:
            results = await void(session, items, principal.mode, deps.clock.now())
        return JSONBytes({"results": results})

    return routes


def _items(request: Request, body: bytes) -> list[object]:
    """The events in a body, by its content type and headers."""
    if "ce-specversion" in request.headers or "ce-id" in request.headers:
        try:
            return [binary_event(request.headers, body)]
        except orjson.JSONDecodeError as error:
            raise _invalid_json(error) from error
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (EVENT, BATCH, JSON):
        raise UnsupportedType(
            "unsupported_media_type", f"Send {EVENT}, {BATCH} or {JSON}, or one event with ce- headers."
        )
    return _as_list(_parsed(body))


def _parsed(body: bytes) -> object:
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid_json(error) from error
    return parsed


def _as_list(parsed: object) -> list[object]:
    return parsed if isinstance(parsed, list) else [parsed]


def _invalid_json(error: orjson.JSONDecodeError) -> InvalidInput:
    return InvalidInput("invalid_json", f"The body is not valid JSON: {error.msg}.")


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    several = {"type": "array", "minItems": 1, "maxItems": 10_000, "items": schema}
    return {
        "requestBody": {
            "required": True,
            "content": {
                EVENT: {"schema": schema},
                BATCH: {"schema": several},
                JSON: {"schema": {"oneOf": [schema, several]}},
            },
        }
    }


def _answers(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "What became of each event.", "content": {JSON: {"schema": schema}}}}
