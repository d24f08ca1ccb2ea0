"""The write side of a request: one transaction, committed here and nowhere else, done once per Idempotency-Key.

The key's row is inserted first and the answer stored last, in the transaction that has the effect. A second request
with the same key waits on the row, then finds either nothing (the first failed: it runs itself) or the answer. A
process that dies in between leaves neither effect nor key. (draft-ietf-httpapi-idempotency-key-header-07)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel
from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert
from starlette.responses import Response

from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Session
from omni.foundation.http.json import JSONBytes
from omni.foundation.http.tables import idempotency_keys
from omni.kit.errors import InvalidInput, Unprocessable
from omni.kit.sealing import seal, unseal

HEADER = "idempotency-key"
MAX_KEY_CHARS = 255

AnySession = TypeVar("AnySession", bound=Session)


class UnitOfWork:
    """Runs the action of a writing route."""

    def __init__(self, master_key: MasterKey) -> None:
        self._seal_key = master_key.derive("idempotency-answers")
        self._scope_key = master_key.derive("idempotency-scopes")

    async def run(
        self,
        request: Request,
        open_session: AbstractAsyncContextManager[AnySession],
        action: Callable[[AnySession], Awaitable[BaseModel | None]],
        status: int = 200,
    ) -> Response:
        """Commits what `action` did and answers with what it returned (204 for None).

        Raises InvalidInput for a key that is too long, Unprocessable for a key that was used with another request.
        """
        key = request.headers.get(HEADER)
        if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
            raise InvalidInput("invalid_idempotency_key", f"Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters.")
        async with open_session as session:
            if key is None:
                return _response(await action(session), status)
            scope, fingerprint = self._scope(request), await self._fingerprint(request)
            earlier = await self._claim(session, scope, key, fingerprint)
            if earlier is not None:
                return self._replay(earlier, scope, key, fingerprint)
            response = _response(await action(session), status)
            await self._keep(session, scope, key, response)
            return response

    async def _claim(self, session: Session, scope: str, key: str, fingerprint: bytes) -> RowMapping | None:
        """None when the key is ours now, else the row of whoever had it first."""
        row = {"scope": scope, "key": key, "fingerprint": fingerprint}
        claim = insert(idempotency_keys).values(row).on_conflict_do_nothing()
        if (await session.execute(claim)).rowcount:
            return None
        table = idempotency_keys.c
        return await session.first(select(idempotency_keys).where(table.scope == scope, table.key == key))

    async def _keep(self, session: Session, scope: str, key: str, response: Response) -> None:
        sealed = seal(self._seal_key, bytes(response.body), f"{scope}|{key}".encode())
        table = idempotency_keys.c
        await session.execute(
            update(idempotency_keys)
            .where(table.scope == scope, table.key == key)
            .values(status=response.status_code, sealed_body=sealed)
        )

    def _replay(self, earlier: RowMapping, scope: str, key: str, fingerprint: bytes) -> Response:
        if not hmac.compare_digest(earlier["fingerprint"], fingerprint):
            raise Unprocessable(
                "idempotency_key_reused", "This Idempotency-Key was used with another request. Use a new key."
            )
        body = unseal(self._seal_key, earlier["sealed_body"], f"{scope}|{key}".encode())
        headers = {"Idempotency-Replayed": "true"}
        return Response(body, earlier["status"], headers, "application/json" if body else None)

    def _scope(self, request: Request) -> str:
        """Who sent it: keys of one caller never meet those of another."""
        caller = request.headers.get("authorization") or request.headers.get("cookie") or "public"
        return hmac.digest(self._scope_key, caller.encode("utf-8", "replace"), hashlib.sha256).hex()

    async def _fingerprint(self, request: Request) -> bytes:
        """Which request it is. Keyed, because a body may hold a password."""
        parts = {"method": request.method, "path": request.url.path, "query": request.url.query}
        return hmac.digest(self._scope_key, orjson.dumps(parts) + b"\n" + await request.body(), hashlib.sha256)


def _response(answer: BaseModel | None, status: int) -> Response:
    if answer is None:
        return Response(status_code=204)
    return JSONBytes(_plain(answer), status)


def _plain(answer: BaseModel) -> Any:
    return answer.model_dump(mode="json")
