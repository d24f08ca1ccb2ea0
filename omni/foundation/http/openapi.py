"""What OpenAPI says of every operation: how errors look, and how callers of the public API prove who they are."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from omni.contracts.endpoints import ENDPOINTS, Endpoint

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id", "doc_url"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "What is wrong and what to do."},
        "code": {**_TEXT, "description": "Stable; see /docs/errors."},
        "request_id": _TEXT,
        "doc_url": _TEXT,
    },
}
_OPENAI_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code", "request_id", "doc_url"],
            "properties": {
                "message": {**_TEXT, "description": "What is wrong and what to do."},
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {**_TEXT, "description": "Stable; see /docs/errors."},
                "request_id": _TEXT,
                "doc_url": _TEXT,
            },
        }
    },
}
_SCHEMAS = {"Problem": _PROBLEM, "OpenAIError": _OPENAI_ERROR}

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": 'A problem (RFC 9457). On the routes that keep OpenAI\'s format, `{"error": …}` instead.',
        "content": {"application/problem+json": {"schema": _PROBLEM}},
    }
}

_API_KEY = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `omni_live_…` or `omni_test_…`. The header `x-api-key` is taken as well.",
    }
}
_EVERYWHERE = (401, 403, 429, 500, 502, 503, 504)
"""Statuses of errors that any request can end with: no key, no scope, a limit, something is down, time is over."""


def with_public_contract(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """An `openapi` function for `app` that adds the API key to every operation, and the errors each can answer with."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = plain()
        components = document.setdefault("components", {})
        components["securitySchemes"] = _API_KEY
        schemas = components.setdefault("schemas", {})
        schemas.update(_SCHEMAS)
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own errors, which are never sent
            schemas.pop(name, None)
        document["security"] = [{"apiKey": []}]
        for endpoint in ENDPOINTS:
            operation = document["paths"].get(endpoint.template, {}).get(endpoint.method.lower())
            if operation is not None:
                answers = {status: found for status, found in operation["responses"].items() if _is_answer(status)}
                operation["responses"] = {**answers, **_refusals(endpoint, operation)}
        _close_patterns(document)
        return document

    return openapi


def error_statuses(endpoint: Endpoint, takes_parameters: bool) -> list[int]:
    """The statuses of errors that an endpoint can answer with, in order."""
    statuses = {*_EVERYWHERE, *endpoint.refusals}
    if takes_parameters or endpoint.max_body_bytes:
        statuses.add(400)
    if endpoint.max_body_bytes:
        statuses.add(413)
    if "{" in endpoint.template:
        statuses.add(404)
    return sorted(statuses)


def _close_patterns(schema: Any) -> None:
    """Says of objects whose members' names have a pattern that they have no others; pydantic leaves that out."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for each in schema.values():
            _close_patterns(each)
    elif isinstance(schema, list):
        for each in schema:
            _close_patterns(each)


def _is_answer(status: str) -> bool:
    return status.startswith(("1", "2", "3"))


def _refusals(endpoint: Endpoint, operation: dict[str, Any]) -> dict[str, Any]:
    name, kind = "Problem", "application/problem+json"
    if endpoint.error_shape == "openai":
        name, kind = "OpenAIError", "application/json"
    content = {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    statuses = error_statuses(endpoint, bool(operation.get("parameters")))
    return {str(status): {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
