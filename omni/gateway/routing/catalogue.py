"""The models, providers and prices that are in force, as the control plane published them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from uuid import UUID

from omni.contracts import redis_names
from omni.contracts.money import PriceBook
from omni.contracts.routes import EMPTY_TABLE, ModelRoute, Operation, Provider, RouteTable
from omni.gateway.access.auth import Caller
from omni.gateway.admission.prices import Prices
from omni.gateway.config import GatewayConfig
from omni.gateway.logs import Logger
from omni.gateway.redis.client import RedisClient
from omni.gateway.redis.resp import RedisReplyError, RedisUnavailable
from omni.kit.errors import NotFound
from omni.kit.sealing import DecryptionFailed, credential_place, unseal

_NAMES_LISTED = 50
_PLATFORM = "platform"


class Catalogue:
    """One table and one price book at a time; a reload replaces each as a whole."""

    def __init__(self, redis: RedisClient, prices: Prices, config: GatewayConfig, logger: Logger) -> None:
        self._redis = redis
        self._prices = prices
        self._logger = logger
        self._seal_key = config.credentials_key
        self.table = EMPTY_TABLE
        self._tables_raw = (b"", b"")
        self._keys: dict[str, str] = {}
        self._opened: dict[tuple[UUID, str], tuple[str, str]] = {}
        self.on_table: list[Callable[[RouteTable], None]] = []
        """Called with each new table."""

    async def reload(self) -> None:
        """Reads both again; what cannot be read stays as it was."""
        try:
            table = await self._redis.execute(b"GET", redis_names.ROUTES)
            prices = await self._redis.execute(b"GET", redis_names.PRICES)
        except (RedisUnavailable, RedisReplyError):
            return
        try:
            if table is not None and table != self._tables_raw[0]:
                self._use(RouteTable.from_json(table))
            if prices is not None and prices != self._tables_raw[1]:
                self._prices.replace(PriceBook.from_json(prices))
        except (ValueError, KeyError, TypeError) as error:
            self._logger.error("catalogue_unreadable", error=repr(error))
            return
        self._tables_raw = (table or self._tables_raw[0], prices or self._tables_raw[1])

    def on_invalidation(self, message: bytes) -> bool:
        """Whether the message asks for a reload."""
        return message in (b"routes", b"prices", b"all")

    def model(self, name: str, operation: Operation, allowed: Callable[[str], bool]) -> ModelRoute:
        """Raises NotFound `model_not_found`, which lists the models that the caller may use for this."""
        model = self.table.models.get(name)
        if model is not None and operation in model.operations and allowed(name):
            return model
        names = [
            each.name for each in self.table.models.values() if operation in each.operations and allowed(each.name)
        ]
        listed = ", ".join(sorted(names)[:_NAMES_LISTED]) or "none"
        raise NotFound(
            "model_not_found", f"There is no model {name!r} for this. Models: {listed}.", param="model", models=names
        )

    def provider(self, code: str) -> Provider:
        return self.table.providers[code]

    def key(self, caller: Caller, provider: Provider) -> tuple[str, bool] | None:
        """The key to call a provider with, and whether it is the tenant's own; None when there is none."""
        sealed = caller.credentials.get(provider.code)
        if sealed is not None:
            tenant_id = caller.key.tenant_id
            known = self._opened.get((tenant_id, provider.code))
            if known is None or known[0] != sealed:
                known = (sealed, self._open(str(tenant_id), provider.code, sealed) or "")
                if len(self._opened) > _OPENED_LIMIT:
                    self._opened.clear()
                self._opened[tenant_id, provider.code] = known
            if known[1]:
                return known[1], True
        if not provider.sealed_key:
            return ("", False) if provider.kind in ("openai", "backend") else None
        key = self._keys.get(provider.code)
        return None if key is None else (key, False)

    def _use(self, table: RouteTable) -> None:
        keys: dict[str, str] = {}
        for provider in table.providers.values():
            if provider.sealed_key:
                opened = self._open(_PLATFORM, provider.code, provider.sealed_key)
                if opened is not None:
                    keys[provider.code] = opened
        self._keys = keys
        self.table = table
        for listener in self.on_table:
            listener(table)

    def _open(self, owner: str, provider: str, sealed: str) -> str | None:
        try:
            key = unseal(self._seal_key, base64.b64decode(sealed), credential_place(owner, provider))
        except (DecryptionFailed, ValueError):
            self._logger.error("credential_unreadable", provider=provider)
            return None
        return key.decode("utf-8")


_OPENED_LIMIT = 10_000
