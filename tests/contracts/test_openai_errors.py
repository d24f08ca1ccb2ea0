"""OpenAI's error shape: types as its API has them, the same for every process, understood by its client."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import orjson
import pytest
from starlette.requests import Request

from omni.contracts.docs import doc_url
from omni.contracts.openai_errors import openai_error
from omni.foundation.http.problems import problem_of, problem_response
from omni.gateway.edge.errors import error_body
from omni.kit.errors import (
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OmniError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UpstreamFailed,
)

REQUEST_ID = "0198c0de-0000-7000-8000-000000000000"
CASES: dict[str, tuple[OmniError, str, str, type[openai.APIStatusError]]] = {
    "bad input": (
        InvalidInput("invalid_request", "x", param="input"),
        "invalid_request_error",
        "invalid_request",
        openai.BadRequestError,
    ),
    "wrong key": (
        Unauthenticated("invalid_api_key", "x"),
        "invalid_request_error",
        "invalid_api_key",
        openai.AuthenticationError,
    ),
    "scope": (Forbidden("scope_missing", "x"), "permission_error", "scope_missing", openai.PermissionDeniedError),
    "missing": (NotFound("model_not_found", "x"), "invalid_request_error", "model_not_found", openai.NotFoundError),
    "conflict": (Conflict("busy", "x"), "invalid_request_error", "busy", openai.ConflictError),
    "large": (TooLarge("body_too_large", "x"), "invalid_request_error", "body_too_large", openai.APIStatusError),
    "odd": (Unprocessable("odd", "x"), "invalid_request_error", "odd", openai.UnprocessableEntityError),
    "rate": (
        LimitExceeded("rate_limit_exceeded", "x"),
        "rate_limit_error",
        "rate_limit_exceeded",
        openai.RateLimitError,
    ),
    "quota": (LimitExceeded("quota_exceeded", "x"), "insufficient_quota", "insufficient_quota", openai.RateLimitError),
    "crash": (OmniError("internal_error", "x"), "server_error", "internal_error", openai.InternalServerError),
    "upstream": (UpstreamFailed("backend_failed", "x"), "server_error", "backend_failed", openai.InternalServerError),
    "away": (Unavailable("limits_unavailable", "x"), "server_error", "limits_unavailable", openai.InternalServerError),
    "late": (DeadlineExceeded("deadline_exceeded", "x"), "server_error", "deadline_exceeded", openai.APIStatusError),
}


class _EmbeddingsRoute:
    path = "/v1/embeddings"


def from_gateway(error: OmniError) -> dict[str, Any]:
    _, body = error_body(error, REQUEST_ID, "openai")
    document: dict[str, Any] = orjson.loads(body)
    return document


def from_backend(error: OmniError) -> dict[str, Any]:
    scope = {"type": "http", "method": "POST", "headers": [], "route": _EmbeddingsRoute(), "request_id": REQUEST_ID}
    document: dict[str, Any] = orjson.loads(problem_response(Request(scope), problem_of(error)).body)
    return document


@pytest.mark.parametrize("name", CASES)
def test_gateway_and_backend_answer_alike_and_the_client_understands(name: str) -> None:
    error, kind, code, raised = CASES[name]
    document = from_gateway(error)
    assert document == from_backend(error)
    assert document == {
        "error": {
            "message": "x",
            "type": kind,
            "param": error.fields.get("param"),
            "code": code,
            "request_id": REQUEST_ID,
            "doc_url": f"/docs/errors#{error.code}",
        }
    }

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(error.status, json=document, headers={"x-request-id": REQUEST_ID})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with (
        openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0) as client,
        pytest.raises(raised) as caught,
    ):
        client.models.list()
    seen = caught.value
    assert (seen.type, seen.code, seen.param) == (kind, code, error.fields.get("param"))
    assert (seen.status_code, seen.request_id) == (error.status, REQUEST_ID)


def test_the_function_is_pure() -> None:
    arguments: dict[str, Any] = {"param": None, "request_id": "r", "doc_url": doc_url("a_code")}
    assert openai_error(404, "a_code", "m", **arguments) == openai_error(404, "a_code", "m", **arguments)


def test_problem_documents_name_the_same_page() -> None:
    problem = orjson.loads(error_body(NotFound("unknown_route", "x"), REQUEST_ID, "problem")[1])
    scope = {"type": "http", "method": "GET", "headers": [], "request_id": REQUEST_ID}
    response = problem_response(Request(scope), problem_of(NotFound("unknown_route", "x")))
    assert orjson.loads(response.body) == problem
    assert problem["doc_url"] == problem["type"] == "/docs/errors#unknown_route"
