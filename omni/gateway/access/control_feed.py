"""What changed of the keys in use, asked of the control plane itself while Redis is away.

Without Redis nobody tells a gateway that a key was revoked. So that a revocation still holds soon, the gateway then
asks the console every few seconds for the keys and tenants that it serves. Where the console cannot answer either,
what is known goes on being believed for its time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import orjson

from omni.contracts.control_feed import FEED_PATH, SIGNATURE_HEADER
from omni.gateway.access.auth import Authenticator
from omni.gateway.config import GatewayConfig
from omni.gateway.logs import Logger
from omni.gateway.upstream.pools import Backend, send_to
from omni.kit.errors import OmniError

_TIMEOUT_SECONDS = 5.0
_ANSWER_LIMIT_BYTES = 16 * 1024 * 1024


class ControlFeed:
    """Asks and hands on what it hears. Does nothing where no console is configured."""

    def __init__(self, authenticator: Authenticator, config: GatewayConfig, logger: Logger) -> None:
        self._authenticator = authenticator
        self._secret = config.control_feed_secret
        self._logger = logger
        self._console = Backend(config.console_url, config, ours=True) if config.console_url else None
        self._loop = asyncio.get_running_loop()

    async def refresh(self) -> None:
        """Asks once. An answer that cannot be had or read changes nothing."""
        asked = self._authenticator.keys_in_use()
        if self._console is None or not asked:
            return
        body = orjson.dumps({"keys": asked})
        signature = hmac.digest(self._secret, body, hashlib.sha256).hex().encode("ascii")
        head = b"POST %b HTTP/1.1\r\nhost: %b\r\n%b: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        names = FEED_PATH.encode("ascii"), self._console.authority, SIGNATURE_HEADER.encode("ascii")
        request = head % (*names, signature, len(body)) + body
        try:
            deadline = self._loop.time() + _TIMEOUT_SECONDS
            answer = await send_to(self._console, request, deadline, lambda _: None)
            data = await answer.read_whole(_ANSWER_LIMIT_BYTES)
            if answer.status != 200:
                self._logger.warning("control_feed_refused", status=answer.status)
                return
            found: dict[str, Any] = orjson.loads(data)
            self._authenticator.replace_known(found["keys"], found["tenants"])
        except (OmniError, ValueError, KeyError, TypeError) as error:
            self._logger.warning("control_feed_failed", error=repr(error))

    def sweep(self, now: float) -> None:
        if self._console is not None:
            self._console.sweep(now)

    def close(self) -> None:
        if self._console is not None:
            self._console.close()
