"""What OpenAPI says of every operation: how errors look, and how callers of the public API prove who they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

_TEXT = {"type": "string"}

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": 'A problem (RFC 9457). On the routes that keep OpenAI\'s format, `{"error": …}` instead.',
        "content": {
            "application/problem+json": {
                "schema": {
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
            }
        },
    }
}

_API_KEY = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `omni_live_…` or `omni_test_…`. The header `x-api-key` is taken as well.",
    }
}


def with_api_keys(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """An `openapi` function for `app` that adds the API key to every operation."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = _API_KEY
        document["security"] = [{"apiKey": []}]
        return document

    return openapi
