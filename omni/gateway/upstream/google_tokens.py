"""Access tokens of Google for service accounts (RFC 7523): one exchange an hour, however many requests wait for it."""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import urlencode

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from omni.gateway.upstream.answers import deadline_exceeded
from omni.gateway.upstream.pools import Origins, send_to
from omni.kit.clock import unix_micros
from omni.kit.errors import UpstreamFailed

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens are, not one
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE_SECONDS = 3600
_EARLY_SECONDS = 120
_TIMEOUT_SECONDS = 10
_ANSWER_LIMIT_BYTES = 64 * 1024
_ACCOUNTS_LIMIT = 1_000


def is_service_account(key: str) -> bool:
    """Whether a provider's key is the JSON file of an account, and not a key of the API."""
    return key.startswith("{")


class GoogleTokens:
    """The tokens of this process. The token's place is never taken from the file: a tenant may have written that."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._loop = asyncio.get_running_loop()
        self._known: dict[str, tuple[str, float]] = {}
        self._exchanges: dict[str, asyncio.Task[str]] = {}

    async def token(self, account: str, url: str, deadline: float) -> str:
        """A token for the account that is good for minutes yet, by this loop time. Raises OmniError."""
        known = self._known.get(account)
        if known is not None and self._loop.time() < known[1]:
            return known[0]
        exchange = self._exchanges.get(account)
        if exchange is None:
            exchange = self._exchanges[account] = asyncio.create_task(self._exchange(account, url))
            exchange.add_done_callback(lambda done: self._done(account, done))
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(exchange)
        except TimeoutError:
            raise deadline_exceeded() from None

    def _done(self, account: str, exchange: asyncio.Task[str]) -> None:
        del self._exchanges[account]
        if not exchange.cancelled():
            exchange.exception()  # whoever waited for it has been told

    async def _exchange(self, account: str, url: str) -> str:
        form = urlencode({"grant_type": _GRANT, "assertion": _assertion(account, url)}).encode("ascii")
        origin = self._origins.get(url)
        request = (
            b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            b"content-length: %d\r\n\r\n%b"
        ) % (origin.path, origin.authority, len(form), form)
        deadline = self._loop.time() + _TIMEOUT_SECONDS
        answer = await send_to(origin, request, deadline, lambda _: None)
        body = await answer.read_whole(_ANSWER_LIMIT_BYTES)
        token, seconds = _granted(answer.status, body)
        if len(self._known) >= _ACCOUNTS_LIMIT:
            self._known.clear()
        self._known[account] = (token, self._loop.time() + seconds - _EARLY_SECONDS)
        return token

    def close(self) -> None:
        for exchange in self._exchanges.values():
            exchange.cancel()


def _assertion(account: str, audience: str) -> str:
    try:
        row = orjson.loads(account)
        key = load_pem_private_key(row["private_key"].encode("ascii"), password=None)
        issuer, key_id = row["client_email"], row.get("private_key_id")
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise _refused(f"a service account that cannot be read: {type(error).__name__}") from None
    if not isinstance(key, RSAPrivateKey):
        raise _refused("a service account whose key is not RSA")
    now = unix_micros() // 1_000_000
    head = {"alg": "RS256", "typ": "JWT", "kid": key_id}
    claims = {"iss": issuer, "scope": _SCOPE, "aud": audience, "iat": now, "exp": now + _LIFE_SECONDS}
    signed = b"%b.%b" % (_base64(orjson.dumps(head)), _base64(orjson.dumps(claims)))
    return (signed + b"." + _base64(key.sign(signed, PKCS1v15(), SHA256()))).decode("ascii")


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _granted(status: int, body: bytes) -> tuple[str, int]:
    """The token and its life in seconds."""
    try:
        row = orjson.loads(body)
    except orjson.JSONDecodeError:
        row = None
    token = row.get("access_token") if isinstance(row, dict) else None
    if status != 200 or not isinstance(token, str) or not isinstance(row, dict):
        raise _refused(f"no access token in an answer of status {status}")
    seconds = row.get("expires_in")
    return token, seconds if type(seconds) is int else 0


def _refused(internal: str) -> UpstreamFailed:
    return UpstreamFailed(
        "provider_misconfigured", "The provider refuses the platform's service account.", internal=internal
    )
