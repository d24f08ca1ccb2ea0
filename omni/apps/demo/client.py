"""The two doors of the platform as the tour uses them, with a stopwatch on every call."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx2

MAIL_SECONDS = 20.0


class TourFailed(Exception):
    """The platform did not do what the tour shows; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A tenant of the tour: signed up, verified, logged in, with a key."""

    name: str
    email: str
    tenant_id: str
    project_id: str
    session_token: str
    key: str


class Doors:
    """Calls to gateway and console. What is not the expected status ends the tour."""

    def __init__(self, gateway_url: str, console_url: str, mail_folder: Path) -> None:
        self._http = httpx2.AsyncClient(timeout=60, trust_env=False)
        self._gateway_url = gateway_url
        self._console_url = console_url
        self._mail_folder = mail_folder
        self.millis: dict[str, list[float]] = defaultdict(list)

    async def close(self) -> None:
        await self._http.aclose()

    async def api(self, method: str, path: str, key: str, expect: int = 200, **body: Any) -> httpx2.Response:
        """A call to the gateway with an API key."""
        name = f"{method} {path}"
        return await self._call(name, method, self._gateway_url + path, key, expect, body)

    async def control(self, method: str, path: str, token: str, expect: int = 200, **body: Any) -> Any:
        """A call to the console; returns its JSON."""
        headers = {"Idempotency-Key": secrets.token_hex(16)} if method == "POST" else {}
        response = await self._call("console", method, self._console_url + path, token, expect, body, headers)
        return response.json() if response.content else None

    async def raw(self, method: str, path: str, key: str, **body: Any) -> httpx2.Response:
        """A call to the gateway whose status is for the caller to judge."""
        return await self._http.request(
            method, self._gateway_url + path, headers={"Authorization": f"Bearer {key}"}, **body
        )

    async def sign_up(self, company: str, plan: str) -> Visitor:
        """Everything that a new customer does, from the form to the first key."""
        email = f"{company.partition(' ')[0].lower()}.{secrets.token_hex(4)}@example.com"
        password = secrets.token_urlsafe(16)
        made = await self.control(
            "POST",
            "/api/signup",
            "",
            201,
            json={"email": email, "password": password, "tenant_name": company},
        )
        token = await self._mailed_token(email)
        await self.control("POST", "/api/auth/verify-email", "", 204, json={"token": token})
        login = await self.control("POST", "/api/auth/login", "", 200, json={"email": email, "password": password})
        session, tenant = login["session_token"], f"/api/tenants/{made['tenant_id']}"
        if plan != "free":
            await self.control("PUT", f"{tenant}/plan", session, 200, json={"plan_code": plan})
        body = {"project_id": made["project_id"], "name": "tour", "mode": "live"}
        key = await self.control("POST", f"{tenant}/keys", session, 201, json=body)
        visitor = Visitor(company, email, made["tenant_id"], made["project_id"], session, key["secret"])
        await self._key_works(visitor)
        return visitor

    async def _key_works(self, visitor: Visitor) -> None:
        """A new key reaches the gateways within a second."""
        deadline = time.monotonic() + 5
        while (answer := await self.raw("GET", "/v1/models", visitor.key)).status_code != 200:
            if time.monotonic() > deadline:
                raise TourFailed(f"the new key does not work: {answer.status_code} {answer.text[:300]}")
            await asyncio.sleep(0.1)

    async def _mailed_token(self, email: str) -> str:
        deadline = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < deadline:
            for file in self._mail_folder.glob("*.eml"):
                message = message_from_bytes(file.read_bytes(), policy=policy.default)
                if message["To"] == email:
                    part = message.get_body()
                    text = part.get_content() if part else ""
                    return next(line for line in text.split() if line.startswith("omni_verify_"))
            await asyncio.sleep(0.05)
        raise TourFailed(f"no verification mail for {email} came within {MAIL_SECONDS:.0f} s")

    async def _call(
        self,
        name: str,
        method: str,
        url: str,
        token: str,
        expect: int,
        body: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        sent = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        started = time.perf_counter()
        response = await self._http.request(method, url, headers=sent, **body)
        self.millis[name].append((time.perf_counter() - started) * 1000)
        if response.status_code != expect:
            raise TourFailed(f"{method} {url} answered {response.status_code}: {response.text[:500]}")
        return response
