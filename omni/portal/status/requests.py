"""Reads requests, and answers errors as problem documents (RFC 9457)."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from omni.contracts.docs import doc_url
from omni.kit.errors import InvalidInput, NotConfigured, OmniError, TooLarge, Unauthenticated

MAX_BODY_BYTES = 1 << 20
Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


async def read_bytes(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body. Raises TooLarge as soon as it is."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > max_bytes:
            raise TooLarge("body_too_large", f"The body is over {max_bytes} bytes.", max_bytes=max_bytes)
    return bytes(read)


async def read_json(request: Request, model: type[Body]) -> Body:
    """The body as a model. Raises InvalidInput, TooLarge."""
    try:
        return model.model_validate(orjson.loads(await read_bytes(request)))
    except orjson.JSONDecodeError as error:
        raise InvalidInput("invalid_json", f"The body is not JSON: {error}") from None
    except ValidationError as error:
        problems = [
            {"param": ".".join(map(str, found["loc"])), "message": found["msg"]} for found in error.errors()[:20]
        ]
        first = problems[0]
        where = f"{first['param']}: " if first["param"] else ""
        raise InvalidInput(
            "invalid_request", where + first["message"], param=first["param"], problems=problems
        ) from None


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form in the page's own encoding. Raises TooLarge."""
    body = await read_bytes(request, 16_384)
    return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=20))


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def caller_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def require_token(request: Request, token: str | None) -> None:
    """Raises NotConfigured, Unauthenticated."""
    if not token:
        raise NotConfigured(
            "status_token_missing", "Writing is off: set OMNI_STATUS_TOKEN; `omni status token` prints the value."
        )
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Unauthenticated(
            "status_token_invalid",
            "This needs the header Authorization: Bearer TOKEN with the token that `omni status token` prints.",
        )


def problem(error: OmniError) -> Response:
    """The public side of an error."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    retry_after = getattr(error, "retry_after_seconds", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    document = {
        "type": doc_url(error.code),
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        **error.fields,
    }
    return JSONResponse(document, error.status, headers, media_type="application/problem+json")


def with_problems(handler: Handler) -> Handler:
    """The handler, whose expected errors become problem documents."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except OmniError as error:
            return problem(error)

    return answer
