"""Who is calling: the credential, the key behind it, and what the key may do."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import orjson

from omni.contracts import redis_names
from omni.contracts.control_feed import KEYS_LIMIT
from omni.contracts.money import MoneySnapshot
from omni.contracts.principal import Principal
from omni.contracts.snapshots import KEY_PREFIXES, KeySnapshot, PlanSnapshot, TenantSnapshot
from omni.gateway.access.snapshots import SnapshotCache, snapshots_unavailable
from omni.gateway.admission.events import EventTemplate
from omni.gateway.admission.limits import LimitSet, Scripts
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.routes import Route
from omni.gateway.redis.client import RedisClient
from omni.kit.clock import unix_micros
from omni.kit.errors import Forbidden, Unauthenticated
from omni.kit.ids import is_well_formed

if TYPE_CHECKING:
    from omni.gateway.express import Lane

_OUTAGE_CALLER_SECONDS = 1.0
"""How long a caller put together from old snapshots is used before Redis is tried again."""

T = TypeVar("T")

Quote = tuple[str, dict[str, tuple[int, int]]]
"""A currency, and what meters cost in it: nano-units for how many units."""
NO_QUOTE: Quote = ("", {})

_NO_MONEY = MoneySnapshot(UUID(int=0))

Credentials = Mapping[str, str]
"""Provider code → base64 of the tenant's own sealed key."""


def invalid_key() -> Unauthenticated:
    """One answer for every key that does not open, so that none of the reasons leaks."""
    return Unauthenticated("invalid_api_key", "The API key is missing, malformed, unknown, expired or revoked.")


Known = tuple[KeySnapshot, TenantSnapshot, PlanSnapshot, MoneySnapshot, Credentials]
"""What a caller is made of."""


class Caller:
    """A key with its tenant and plan, and what is derived from them once."""

    __slots__ = (
        "_digest",
        "_events",
        "_free_limits",
        "_limits",
        "_scripts",
        "allows_all",
        "credentials",
        "fresh_until",
        "generation",
        "key",
        "known",
        "lanes",
        "models",
        "money",
        "narrowed",
        "networks",
        "plain",
        "plan",
        "scopes",
        "tenant",
    )

    def __init__(self, known: Known, scripts: Scripts, digest: str = "") -> None:
        self._scripts = scripts
        self._digest = digest
        self.known = known
        self.key, self.tenant, self.plan, self.money, self.credentials = known
        key, plan = self.key, self.plan
        self.models = _both(key.models, plan.models)
        """What plan and key allow; None = all."""
        self.scopes = key.scopes
        self.allows_all = "*" in key.scopes
        self.networks = tuple(ip_network(network) for network in key.networks)
        self.plain = not self.tenant.policies.has_hooks and self.tenant.cache_seconds <= 0
        """Whether requests pass without policies and response cache."""
        policies = self.tenant.policies
        self.narrowed = policies.allowed_models is not None or bool(policies.denied_models)
        """Whether the tenant's policies choose among models."""
        self.lanes: dict[tuple[str, str], Lane] = {}
        """By operation and model, what requests on the express lane need to know."""
        self.generation = -1
        self.fresh_until = 0.0
        self._events: dict[str, EventTemplate] = {}
        self._limits: LimitSet | None = None
        self._free_limits: LimitSet | None = None

    def principal(
        self, request_id: UUID, deadline_micros: int, secret: bytes, quote: Quote = NO_QUOTE, *, routed: bool = False
    ) -> bytes:
        """The header value that tells the platform's own engines for whom they work, and at which prices. Which models
        `routed` requests may name was looked at before: a target's name is no matter of the plan's."""
        key = self.key
        principal = Principal(
            request_id, key.tenant_id, key.project_id, key.mode, self.plan.storage_bytes, deadline_micros,
            None if routed else self.models, key.key_id, self._digest, *quote,
        )  # fmt: skip
        return principal.sign(secret).encode("ascii")

    def may_use(self, model: str) -> bool:
        """Whether plan, key and the tenant's policies allow a model."""
        if self.models is not None and model not in self.models:
            return False
        policies = self.tenant.policies
        if policies.denied_models and _matches(model, policies.denied_models):
            return False
        return policies.allowed_models is None or _matches(model, policies.allowed_models)

    def events(self, route: Route) -> EventTemplate:
        template = self._events.get(route.name)
        if template is None:
            template = self._events[route.name] = EventTemplate(self.key, route.name)
        return template

    def limits(self, at_micros: int) -> LimitSet:
        """The levels to admit at, in the periods that `at_micros` is in."""
        limits = self._limits
        if limits is None or not limits.from_micros <= at_micros < limits.until_micros:
            limits = self._limits = LimitSet(self.key, self.plan, self.money, at_micros, self._scripts)
        return limits

    def free_limits(self, at_micros: int) -> LimitSet:
        """The same for requests that are not metered: rates of requests and open requests, no quotas, no money."""
        limits = self._free_limits
        if limits is None or not limits.from_micros <= at_micros < limits.until_micros:
            key = replace(self.key, tokens_per_minute=None)
            plan = replace(self.plan, tokens_per_minute=None, requests_per_month=None, compute_ms_per_month=None)
            limits = self._free_limits = LimitSet(key, plan, _NO_MONEY, at_micros, self._scripts)
        return limits


def _matches(model: str, patterns: tuple[str, ...]) -> bool:
    return any(model.startswith(each[:-1]) if each.endswith("*") else model == each for each in patterns)


def _both(first: frozenset[str] | None, second: frozenset[str] | None) -> frozenset[str] | None:
    if first is None or second is None:
        return first if second is None else second
    return first & second


class Authenticator:
    """Turns a credential into a Caller. A caller whose snapshots are fresh costs a hash and a look-up."""

    def __init__(self, redis: RedisClient, scripts: Scripts, config: GatewayConfig) -> None:
        self._scripts = scripts
        self._loop = asyncio.get_running_loop()
        self._keys = SnapshotCache(redis, KeySnapshot.from_json, config)
        self._tenants = SnapshotCache(redis, TenantSnapshot.from_json, config)
        self._plans = SnapshotCache(redis, PlanSnapshot.from_json, config)
        self._money = SnapshotCache(redis, MoneySnapshot.from_json, config, missing=_NO_MONEY)
        self._credentials: SnapshotCache[Credentials] = SnapshotCache(redis, orjson.loads, config, missing={})
        self._callers: dict[str, Caller] = {}
        self._callers_limit = config.snapshot_entries_limit
        self._generation = 0

    def cached(self, credential: bytes) -> Caller | None:
        """The caller when nothing has to be read, else None."""
        return self.cached_by_digest(digest_of(credential))

    def cached_by_digest(self, digest: str) -> Caller | None:
        """The same for a key of which only the SHA-256, hex, is known."""
        caller = self._callers.get(digest)
        if caller is None or caller.generation != self._generation or self._loop.time() >= caller.fresh_until:
            return None
        return caller

    async def look_up(self, credential: bytes) -> Caller:
        """The caller, asking Redis for what is not known.

        Raises Unauthenticated, or Unavailable `snapshots_unavailable`.
        """
        check_form(credential)
        return await self.look_up_digest(digest_of(credential))

    async def look_up_digest(self, digest: str) -> Caller:
        """The same for a key of which only the SHA-256, hex, is known."""
        generation = self._generation
        key_name = redis_names.key_snapshot(digest)
        key = await self._keys.get(key_name)
        if key is None:
            raise invalid_key()
        tenant_name = redis_names.tenant_snapshot(key.tenant_id)
        tenant = await self._tenants.get(tenant_name)
        if tenant is None:
            raise snapshots_unavailable()
        plan_name = redis_names.plan_snapshot(tenant.plan_code)
        plan = await self._plans.get(plan_name)
        if plan is None:
            raise snapshots_unavailable()
        money_name = redis_names.money_snapshot(key.tenant_id)
        money = await self._money.get(money_name) or _NO_MONEY
        credentials_name = redis_names.tenant_credentials(key.tenant_id)
        credentials = await self._credentials.get(credentials_name) or {}
        known = (key, tenant, plan, money, credentials)
        caller = self._callers.pop(digest, None)
        if caller is None or caller.known != known:
            caller = Caller(known, self._scripts, digest)
        peeks = (
            self._keys.peek(key_name), self._tenants.peek(tenant_name), self._plans.peek(plan_name),
            self._money.peek(money_name), self._credentials.peek(credentials_name),
        )  # fmt: skip
        freshness = [peek[1] for peek in peeks if peek is not None]
        all_fresh = len(freshness) == len(peeks)
        caller.fresh_until = min(freshness) if all_fresh else self._loop.time() + _OUTAGE_CALLER_SECONDS
        caller.generation = generation
        if len(self._callers) >= self._callers_limit:
            del self._callers[next(iter(self._callers))]
        self._callers[digest] = caller
        return caller

    def on_invalidation(self, message: bytes) -> None:
        """Forgets what a message on the invalidation channel names."""
        kind, _, name = message.decode("utf-8", "replace").partition(" ")
        if kind in ("routes", "prices"):
            return
        self._generation += 1
        try:
            if kind == "key":
                self._keys.invalidate(redis_names.key_snapshot(name))
            elif kind == "tenant":
                self._tenants.invalidate(redis_names.tenant_snapshot(UUID(name)))
            elif kind == "plan":
                self._plans.invalidate(redis_names.plan_snapshot(name))
            elif kind == "money":
                self._money.invalidate(redis_names.money_snapshot(UUID(name)))
            elif kind == "credentials":
                self._credentials.invalidate(redis_names.tenant_credentials(UUID(name)))
            else:
                self.distrust_all()
        except ValueError:
            self.distrust_all()

    def keys_in_use(self) -> dict[str, list[str]]:
        """The SHA-256 digests of the keys that were looked up last, by tenant id."""
        found: dict[str, list[str]] = {}
        for digest, caller in islice(reversed(self._callers.items()), KEYS_LIMIT):
            found.setdefault(str(caller.key.tenant_id), []).append(digest)
        return found

    def replace_known(self, keys: Mapping[str, Any], tenants: Mapping[str, Any]) -> None:
        """Takes keys (by digest) and tenants (by id) as the control plane says they are; None = gone.

        Raises ValueError, KeyError or TypeError for what are no snapshots.
        """
        found_keys = {digest: _decoded(KeySnapshot.from_json, row) for digest, row in keys.items()}
        found_tenants = {UUID(name): _decoded(TenantSnapshot.from_json, row) for name, row in tenants.items()}
        self._generation += 1
        for digest, key in found_keys.items():
            self._keys.replace(redis_names.key_snapshot(digest), key)
        for tenant_id, tenant in found_tenants.items():
            self._tenants.replace(redis_names.tenant_snapshot(tenant_id), tenant)

    def distrust_all(self) -> None:
        """Invalidations may have been missed: everything is asked for again at its next use."""
        self._generation += 1
        for cache in (self._keys, self._tenants, self._plans, self._money, self._credentials):
            cache.mark_stale()


def _decoded(decode: Callable[[bytes], T], row: object) -> T | None:
    return None if row is None else decode(orjson.dumps(row))


def credential_of(headers: Mapping[bytes, bytes]) -> bytes:
    """Raises Unauthenticated where there is none, or none of a kind that is known."""
    credential = headers.get(b"authorization")
    if credential is None:
        credential = headers.get(b"x-api-key")
        if credential is None:
            raise invalid_key()
        return credential
    if credential[:7].lower() != b"bearer ":
        raise invalid_key()
    return credential[7:].strip()


def digest_of(credential: bytes) -> str:
    """What a key is known by: its SHA-256, hex."""
    return hashlib.sha256(credential).hexdigest()


def check_form(credential: bytes) -> None:
    """Raises Unauthenticated for what cannot be a key, at no cost to Redis."""
    if not is_well_formed(credential.decode("ascii", "replace"), KEY_PREFIXES):
        raise invalid_key()


def check_caller(
    caller: Caller, route: Route, client: IPv4Address | IPv6Address | None, *, delegated: bool = False
) -> None:
    """Whether this key may do this from there, now; what is `delegated` was asked for from an address that may.

    Raises Unauthenticated or Forbidden.
    """
    key = caller.key
    if key.revoked or (key.expires_at_micros is not None and unix_micros() >= key.expires_at_micros):
        raise invalid_key()
    if not caller.tenant.active:
        raise Forbidden("tenant_suspended", "This account is suspended. Ask its owner to settle the account.")
    networks = () if delegated else caller.networks
    if networks and (client is None or not any(client in network for network in networks)):
        raise Forbidden("address_not_allowed", "This key may not be used from this address.")
    if not caller.allows_all and route.scope not in caller.scopes:
        raise Forbidden("scope_missing", f"This key lacks the scope {route.scope}.", scope=route.scope)
