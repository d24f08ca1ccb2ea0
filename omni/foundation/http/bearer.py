"""The bearer token of a request, declared so that OpenAPI shows it."""

from __future__ import annotations

from fastapi import Request
from fastapi.security import HTTPBearer


class BearerToken(HTTPBearer):
    """A dependency: the token after `Authorization: Bearer`, or an empty string."""

    def __init__(self) -> None:
        super().__init__(
            scheme_name="session", description="Session token from `POST /api/auth/login`.", auto_error=False
        )

    async def __call__(self, request: Request) -> str:  # type: ignore[override]
        credentials = await super().__call__(request)
        return credentials.credentials if credentials else ""


BEARER_TOKEN = BearerToken()
