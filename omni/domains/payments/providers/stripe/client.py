"""Requests to Stripe's API: form fields in, objects out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from omni.domains.payments.providers.http import TIMEOUT, failed, parsed, send

API_VERSION = "2024-10-28.acacia"
_IN_PROGRESS = frozenset({409})
_REFUSED_CARD = 402


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """An account of Stripe."""

    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    """Signing secrets of the webhook endpoint; two while one is being replaced."""
    base_url: str = "https://api.stripe.com"
    method_types: tuple[str, ...] = ("card",)


@dataclass(frozen=True, slots=True)
class CardError(Exception):
    """The payer's bank or Stripe refused the method (status 402)."""

    code: str
    payment: dict[str, Any]
    """The PaymentIntent that was refused, as far as Stripe tells."""


class StripeClient:
    """Sends requests with the account's key, and repeats those that may be."""

    def __init__(self, http: httpx2.AsyncClient, settings: StripeSettings) -> None:
        self._http = http
        self._base_url = settings.base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {settings.secret_key}", "stripe-version": API_VERSION}

    async def get(self, path: str, **fields: object) -> dict[str, Any]:
        """Raises CardError, Unavailable, UpstreamFailed."""
        return await self._ask("GET", path, {"params": dict(_flat(fields))}, {})

    async def post(self, path: str, idempotency_key: str, **fields: object) -> dict[str, Any]:
        """Raises CardError, Unavailable, UpstreamFailed."""
        return await self._ask("POST", path, {"data": dict(_flat(fields))}, {"idempotency-key": idempotency_key})

    async def _ask(self, method: str, path: str, content: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        request = self._http.build_request(
            method, f"{self._base_url}/v1/{path}", headers=self._headers | headers, timeout=TIMEOUT, **content
        )
        response = await send(self._http, request, busy=_IN_PROGRESS)
        body = parsed(response)
        if response.status_code < 400:
            return body
        error = body.get("error")
        error = error if isinstance(error, dict) else {}
        code = str(error.get("decline_code") or error.get("code") or "")
        if response.status_code == _REFUSED_CARD:
            payment = error.get("payment_intent")
            raise CardError(code or "card_declined", payment if isinstance(payment, dict) else {})
        said = f"{error.get('type')} {code} {error.get('param')}: {error.get('message')}"
        raise failed(f"Stripe, {method} {path}: status {response.status_code}, {said}")


def _flat(fields: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Stripe's form encoding: `{"a": {"b": 1}, "c": ["x"]}` → `a[b]=1`, `c[0]=x`. None is left out."""
    for name, value in fields.items():
        key = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, Mapping):
            yield from _flat(value, key)
        elif isinstance(value, list | tuple):
            yield from _flat({str(index): item for index, item in enumerate(value)}, key)
        elif isinstance(value, bool):
            yield key, "true" if value else "false"
        elif value is not None:
            yield key, str(value)
