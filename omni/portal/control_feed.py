"""`POST /internal/snapshots`: keys and tenants for gateways that have lost Redis. Not part of the public API."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from omni.contracts.control_feed import FEED_PATH, KEYS_LIMIT, SIGNATURE_HEADER
from omni.domains.keys import facade as keys
from omni.domains.tenants import facade as tenants
from omni.foundation.db.sessions import Database
from omni.kit.errors import InvalidInput, NotFound

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Asked(BaseModel):
    keys: Annotated[dict[UUID, list[Digest]], Field(max_length=KEYS_LIMIT)]


@dataclass(frozen=True, slots=True)
class ControlFeedDeps:
    """What the route works with."""

    database: Database
    secret: bytes


def router(deps: ControlFeedDeps) -> APIRouter:
    """The one route."""
    routes = APIRouter(include_in_schema=False)

    @routes.post(FEED_PATH)
    async def snapshots(request: Request) -> Response:
        """The present snapshots of what a gateway asks for; a stranger finds nothing here."""
        body = await request.body()
        expected = hmac.digest(deps.secret, body, hashlib.sha256).hex()
        if not hmac.compare_digest(request.headers.get(SIGNATURE_HEADER, "").encode(), expected.encode()):
            raise NotFound("unknown_route", "No such route. See /openapi.json for all of them.")
        try:
            asked = _Asked.model_validate_json(body)
        except ValidationError as error:
            raise InvalidInput("invalid_request", "Not what a gateway asks.", internal=str(error)) from None
        found_keys: dict[str, bytes | None] = {}
        found_tenants: dict[str, bytes | None] = {}
        for tenant_id, digests in asked.keys.items():
            async with deps.database.read(tenant_id) as session:
                tenant = await tenants.known_to_gateways(session)
                known = await keys.known_to_gateways(session, digests)
            found_tenants[str(tenant_id)] = None if tenant is None else tenant.to_json()
            for digest in digests:
                key = known.get(digest)
                found_keys[digest] = None if key is None else key.to_json()
        answer = {"keys": _fragments(found_keys), "tenants": _fragments(found_tenants)}
        return Response(orjson.dumps(answer), media_type="application/json")

    return routes


def _fragments(found: dict[str, bytes | None]) -> dict[str, orjson.Fragment | None]:
    return {name: None if data is None else orjson.Fragment(data) for name, data in found.items()}
