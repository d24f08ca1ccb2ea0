"""The edge of every AI endpoint: who calls, how much body is read, what the call used."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.types import Message

from omni.contracts.endpoints import DELEGATED_ENDPOINTS, ENDPOINTS
from omni.contracts.principal import PRINCIPAL_HEADER, InvalidPrincipal, Principal
from omni.contracts.usage import MODEL_HEADER, USAGE_HEADER, WAIT_HEADER, format_usage
from omni.inference.json_bodies import json_as
from omni.inference.runtime.call import NANOS_PER_MS, Call
from omni.kit.clock import unix_micros
from omni.kit.errors import OmniError, TooLarge, Unauthenticated

CallerDependency = Callable[[Request], Call]
"""FastAPI dependency that says for whom a request works."""

_ENDPOINTS = {(each.method, each.template): each for each in (*ENDPOINTS, *DELEGATED_ENDPOINTS)}


def caller(secret: bytes, now_micros: Callable[[], int] = unix_micros) -> CallerDependency:
    """The dependency for principals signed with `secret`. It raises Unauthenticated `principal_invalid`."""

    def call_of(request: Request) -> Call:
        value = request.headers.get(PRINCIPAL_HEADER)
        try:
            if value is None:
                raise InvalidPrincipal("header is missing")
            principal = Principal.verify(value, secret, now_micros())
        except InvalidPrincipal as error:
            raise Unauthenticated(
                "principal_invalid", "This service answers only to its gateway. Call the gateway.", internal=str(error)
            ) from error
        call = Call(principal, now_micros=now_micros)
        request.state.call = call
        return call

    return call_of


class MeteredRoute(APIRoute):
    """A route that reads no more body than its endpoint allows, before the handler begins unless the endpoint is
    streamed, and reports usage on its response.

    Only answers carry usage: what failed is not charged. JSON is read as it stands: `"5"` and `true` are no numbers.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        names = {(method, self.path) for method in self.methods or ()}
        endpoints = [_ENDPOINTS[name] for name in names & _ENDPOINTS.keys()]
        limit = max((endpoint.max_body_bytes for endpoint in endpoints), default=0)
        streamed = any(endpoint.streamed for endpoint in endpoints)
        shape = _json_shape(self)

        async def metered(request: Request) -> Response:
            if streamed:
                request = limited(request, limit, lambda: _too_large(limit))
            elif limit:
                await _read_body(request, limit)
            if shape is not None and PRINCIPAL_HEADER in request.headers:  # without, nothing of it matters
                await _read_json(request, shape)
            response = await handle(request)
            call = getattr(request.state, "call", None)
            if isinstance(call, Call):
                quantities = call.usage.quantities()
                if quantities:
                    response.headers[USAGE_HEADER] = format_usage(quantities)
                if call.usage.compute_nanos:
                    response.headers[WAIT_HEADER] = str(call.usage.wait_nanos // NANOS_PER_MS)
                if call.usage.model:
                    response.headers[MODEL_HEADER] = call.usage.model
            return response

        return metered


async def _read_body(request: Request, limit: int) -> None:
    """Read the body into the request's own cache. Raises TooLarge `body_too_large` as soon as it is over `limit`
    bytes.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    request._body = bytes(body)  # where Request.body(), json() and form() look first


def limited(request: Request, limit: int, error: Callable[[], OmniError]) -> Request:
    """The request, whose body raises an error where it goes on beyond `limit` bytes."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise error()
        return message

    return Request(request.scope, receive)


def _json_shape(route: APIRoute) -> TypeAdapter[Any] | None:
    """What a route's JSON body has to be: a model, or one of several. None = it takes no JSON, or reads it itself."""
    if route.body_field is None or isinstance(route.body_field.field_info, Form):
        return None
    info = route.body_field.field_info
    declared: Any = Annotated[info.annotation, info]
    return TypeAdapter(declared)


async def _read_json(request: Request, shape: TypeAdapter[Any]) -> None:
    """Read a JSON body as `shape` into the request's own cache. Raises RequestValidationError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return  # FastAPI refuses it
    body = json_as(shape, await request.body())
    request._json = body  # where Request.json() looks first; an instance is not validated again


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body_too_large", f"The body is larger than this endpoint's {limit} bytes.", max_bytes=limit)
