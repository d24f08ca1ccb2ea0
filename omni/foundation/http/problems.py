"""Every error as RFC 9457 problem+json, or in OpenAI's shape on the routes that keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from omni.contracts.docs import doc_url
from omni.contracts.endpoints import ENDPOINTS
from omni.contracts.openai_errors import openai_error
from omni.foundation.db.sessions import is_lock_timeout
from omni.foundation.http.json import JSONBytes
from omni.foundation.http.request_ids import request_id_of
from omni.kit.errors import InvalidInput, OmniError

_CODES_OF_STATUS = {404: "unknown_route", 405: "method_not_allowed"}
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_OPENAI_ROUTES = frozenset((e.method, e.template) for e in ENDPOINTS if e.error_shape == "openai")

log = structlog.stdlib.get_logger("omni.http")


@dataclass(frozen=True, slots=True)
class Problem:
    """What a caller is told about an error."""

    status: int
    title: str
    code: str
    detail: str
    extra: Mapping[str, object]
    headers: Mapping[str, str]


def problem_of(error: OmniError) -> Problem:
    """The public side of an error."""
    retry_after = getattr(error, "retry_after_seconds", None)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Problem(error.status, error.title, error.code, error.message, error.fields, headers)


def problem_response(request: Request, problem: Problem) -> Response:
    """The response, in the shape that the route promises."""
    request_id = request_id_of(request)
    url = doc_url(problem.code)
    if _is_openai_shaped(request):
        param = problem.extra.get("param")
        document = openai_error(
            problem.status, problem.code, problem.detail, param=param, request_id=request_id, doc_url=url
        )
        return JSONBytes(document, problem.status, dict(problem.headers))
    body: dict[str, Any] = {
        "type": url,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "request_id": request_id,
        "doc_url": url,
        **problem.extra,
    }
    return JSONBytes(body, problem.status, dict(problem.headers), media_type="application/problem+json")


def install_problem_handlers(app: FastAPI) -> None:
    """Turns every exception that leaves a route into a problem."""

    async def on_omni_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, OmniError)
        if error.status >= 500:
            log.warning("request_failed", code=error.code, reason=error.internal or error.message)
        return problem_response(request, problem_of(error))

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(request, problem_of(_to_invalid_input(error)))

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        code = _CODES_OF_STATUS.get(error.status_code, phrase.lower().replace(" ", "_"))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = _allowed_methods(request)
        problem = Problem(error.status_code, phrase, code, str(error.detail), {}, headers)
        return problem_response(request, problem)

    async def on_database_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, DBAPIError)
        if not is_lock_timeout(error):
            return await on_unexpected(request, error)
        detail = "Another request holds what this one needs. Try again."
        return problem_response(request, Problem(409, "Conflict", "resource_locked", detail, {}, {"Retry-After": "1"}))

    async def on_unexpected(request: Request, error: Exception) -> Response:
        log.error("request_crashed", exc_info=error)
        detail = "Something went wrong on our side. Report the request id if it happens again."
        return problem_response(request, Problem(500, "Internal error", "internal_error", detail, {}, {}))

    app.add_exception_handler(OmniError, on_omni_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(DBAPIError, on_database_error)
    app.add_exception_handler(Exception, on_unexpected)


def _to_invalid_input(error: RequestValidationError) -> InvalidInput:
    """Pydantic's findings as one problem; the values themselves are not repeated (they may be secrets)."""
    problems: list[dict[str, str]] = []
    for found in error.errors():
        where = ".".join(str(part) for part in found["loc"] if part != "body") or "body"
        if found["type"] == "json_invalid":
            return InvalidInput("invalid_json", f"The body is not valid JSON: {found.get('ctx', {}).get('error', '')}.")
        problems.append({"field": where, "message": str(found["msg"])})
    first = problems[0]
    return InvalidInput(
        "invalid_request", f"{first['field']}: {first['message']}.", param=first["field"], problems=problems
    )


def _allowed_methods(request: Request) -> str:
    """What the path answers to, by all of its routes; Starlette names those of the first only (RFC 9110, 10.2.1)."""
    routes = request.app.router.routes

    def is_served(method: str) -> bool:
        return any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)

    return ", ".join(filter(is_served, _METHODS))


def _is_openai_shaped(request: Request) -> bool:
    route = request.scope.get("route")
    return route is not None and (request.method, getattr(route, "path", "")) in _OPENAI_ROUTES
