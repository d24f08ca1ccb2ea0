"""Requests to PayPal's REST APIs: JSON in and out, with a bearer token that is fetched when needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2

from omni.domains.payments.providers.http import TIMEOUT, failed, parsed, send
from omni.kit.clock import Clock

_IN_PROGRESS = frozenset({409})
_TOKEN_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PayPalSettings:
    """An app of a business account."""

    client_id: str
    secret: str = field(repr=False)
    webhook_id: str
    base_url: str = "https://api-m.paypal.com"


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """PayPal understood and will not (status 422), such as `INSTRUMENT_DECLINED`; or there is no such thing (404)."""

    status: int
    issue: str


class PayPalClient:
    """Sends requests as the app, and repeats those that may be."""

    def __init__(self, http: httpx2.AsyncClient, settings: PayPalSettings, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._base_url = settings.base_url.rstrip("/")
        self._clock = clock
        self._token = ""
        self._token_ends: datetime | None = None

    async def get(self, path: str, **params: object) -> dict[str, Any]:
        """Raises Refused, Unavailable, UpstreamFailed."""
        return await self._ask("GET", path, {"params": {name: str(value) for name, value in params.items()}}, {})

    async def post(self, path: str, request_id: str, body: Mapping[str, object]) -> dict[str, Any]:
        """`request_id` is the idempotency key. Raises Refused, Unavailable, UpstreamFailed."""
        headers = {"paypal-request-id": request_id, "prefer": "return=representation"}
        return await self._ask("POST", path, {"json": body}, headers)

    async def delete(self, path: str) -> None:
        """Raises Refused, Unavailable, UpstreamFailed."""
        await self._ask("DELETE", path, {}, {})

    async def certificate(self, url: str) -> bytes:
        """The PEM of a certificate; the caller has checked the address. Raises Refused where there is none."""
        response = await send(self._http, self._http.build_request("GET", url, timeout=TIMEOUT), busy=frozenset())
        if response.status_code != 200:
            raise Refused(response.status_code, "CERTIFICATE")
        return response.content

    async def _ask(self, method: str, path: str, content: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        response = await self._send(method, path, content, headers)
        if response.status_code == 401:
            self._token_ends = None  # withdrawn before its time
            response = await self._send(method, path, content, headers)
        if response.status_code == 204:
            return {}
        body = parsed(response)
        if response.status_code < 400:
            return body
        details = body.get("details")
        issue = str(details[0].get("issue", "")) if isinstance(details, list) and details else str(body.get("name", ""))
        if response.status_code in (404, 422):
            raise Refused(response.status_code, issue)
        raise failed(f"PayPal, {method} {path}: status {response.status_code}, {issue}, debug {body.get('debug_id')}")

    async def _send(self, method: str, path: str, content: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
        authorization = {"authorization": f"Bearer {await self._access_token()}"}
        request = self._http.build_request(
            method, f"{self._base_url}/{path}", headers=authorization | headers, timeout=TIMEOUT, **content
        )
        return await send(self._http, request, busy=_IN_PROGRESS)

    async def _access_token(self) -> str:
        now = self._clock.now()
        if self._token_ends is not None and now < self._token_ends:
            return self._token
        basic = httpx2.BasicAuth(self._settings.client_id, self._settings.secret)
        request = self._http.build_request(
            "POST", f"{self._base_url}/v1/oauth2/token", data={"grant_type": "client_credentials"}, timeout=TIMEOUT
        )
        response = await send(self._http, next(basic.auth_flow(request)), busy=frozenset())
        body = parsed(response)
        if response.status_code != 200:
            raise failed(f"PayPal, token: status {response.status_code}, {body.get('error')}")
        self._token = str(body["access_token"])
        self._token_ends = now + timedelta(seconds=int(body["expires_in"])) - _TOKEN_MARGIN
        return self._token
