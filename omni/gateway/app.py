"""The gateway put together: one process, one event loop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from prometheus_client import CollectorRegistry

from omni.contracts import redis_names
from omni.contracts.endpoints import DELEGATED_ENDPOINTS, ENDPOINTS
from omni.contracts.routes import RouteTable
from omni.gateway.access.auth import Authenticator
from omni.gateway.access.control_feed import ControlFeed
from omni.gateway.admission.ledger import Ledger
from omni.gateway.admission.limits import Scripts
from omni.gateway.admission.prices import Prices
from omni.gateway.admission.spool import Spool
from omni.gateway.cache.embedder import Embedder
from omni.gateway.cache.service import ResponseCache
from omni.gateway.cache.store import CacheScripts, ResponseStore
from omni.gateway.config import GatewayConfig
from omni.gateway.edge.ops import OpsServer
from omni.gateway.edge.public import PublicPages
from omni.gateway.edge.routes import Routes
from omni.gateway.edge.server import ServerConnection
from omni.gateway.edge.shared import Server
from omni.gateway.extras import ExtrasService
from omni.gateway.logs import Logger
from omni.gateway.metrics import GatewayMetrics
from omni.gateway.models import ModelService
from omni.gateway.observers import Observers
from omni.gateway.overload import Gate
from omni.gateway.pipeline import Pipeline
from omni.gateway.policies.hooks import Policies
from omni.gateway.policies.moderation import Moderator
from omni.gateway.realtime.service import RealtimeService
from omni.gateway.redis.client import RedisClient, RedisSubscriber
from omni.gateway.redis.resp import RedisReplyError, RedisUnavailable
from omni.gateway.routing.adapters import ADAPTERS
from omni.gateway.routing.attempts import Attempts
from omni.gateway.routing.catalogue import Catalogue
from omni.gateway.routing.ways import Engines
from omni.gateway.slow_requests import KEEP_TRACE, SlowRequests
from omni.gateway.streams import ModelStreams
from omni.gateway.upstream.pools import BackendPool
from omni.telemetry.spans import RequestSpans

_SWEEP_SECONDS = 0.1
_START_REDIS_SECONDS = 1.0
_LAST_FLUSH_SECONDS = 1.0
_JUST_CONNECTED_SECONDS = 0.1
"""So long a connection that was the last to be accepted has to send its request, before it counts as idle."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the gateway listens."""

    public: int
    metrics: int


class Gateway:
    """One gateway process. Build it inside a running event loop (uvloop's for speed)."""

    def __init__(
        self, config: GatewayConfig, registry: CollectorRegistry, logger: Logger, spans: RequestSpans | None = None
    ) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._metrics = GatewayMetrics(registry)
        scripts, cache_scripts = Scripts(config.lease_seconds), CacheScripts()
        self._redis = RedisClient(
            config.redis_url,
            (*scripts.all(), *cache_scripts.all(), KEEP_TRACE),
            timeout_seconds=config.redis_timeout_seconds,
            on_flush=self._metrics.redis_round_trips.add,
            logger=logger,
        )
        self._auth = Authenticator(self._redis, scripts, config)
        self._feed = ControlFeed(self._auth, config, logger)
        self._subscriber = RedisSubscriber(
            config.redis_url,
            redis_names.INVALIDATE_CHANNEL,
            on_message=self._on_invalidation,
            on_subscribed=self._on_subscribed,
        )
        self._spool = Spool(config.spool_dir, self._metrics.spool_events, logger)
        slow = SlowRequests(self._redis, registry, config.slow_request_seconds) if config.keep_slow_requests else None
        observers = Observers(self._metrics, logger, spans, slow)
        prices = Prices()
        self._ledger = Ledger(self._redis, scripts, self._spool, prices, observers, config)
        self._catalogue = Catalogue(self._redis, prices, config, logger)
        self._redis.on_connected += [self._catalogue.reload, self._ledger.on_redis_connected, self._check_snapshots]
        self._backends = BackendPool(config)
        self._gate = Gate()
        engines = Engines(self._backends, self._gate)
        self._attempts = Attempts(self._catalogue, ADAPTERS, engines, observers, config)
        self._catalogue.on_table.append(self._attempts.use_table)
        self._streams = ModelStreams(self._ledger, observers, config)
        models = ModelService(self._catalogue, self._attempts, self._streams, self._ledger, prices, observers, config)
        self._realtime = RealtimeService(self._catalogue, self._attempts, self._ledger, prices, observers, config)
        embedder = Embedder(self._backends, config.principal_secret)
        cache = ResponseCache(ResponseStore(self._redis, cache_scripts, config), embedder)
        policies = Policies(self._metrics, Moderator(self._catalogue, self._attempts))
        self.extras = models.extras = ExtrasService(
            models, self._catalogue, self._ledger, prices, cache, policies, config
        )
        routes = Routes((*ENDPOINTS, *DELEGATED_ENDPOINTS))
        pages = PublicPages(routes, self._backends, self.checks, config.pages)
        services = (models, self._realtime)
        self._pipeline = Pipeline(config, self._auth, self._ledger, engines, services, pages, observers)
        self._metrics.open_requests.set_function(lambda: self._pipeline.open_requests)
        self._metrics.engine_limit.set_function(lambda: self._gate.limit)
        self._metrics.open_breakers.set_function(self._attempts.health.open_breakers)
        self._metrics.open_streams.set_function(lambda: self._streams.open_streams + self._realtime.open_sessions)
        self._server = Server(config, routes, self._pipeline.run, self._pipeline.run_upgrade)
        self._ops = OpsServer(registry, self.checks)
        self._listener: asyncio.Server | None = None
        self._ports: Ports | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._reloads: set[asyncio.Task[None]] = set()
        self._snapshots_seen = False
        self._stopped = False

    @property
    def ports(self) -> Ports:
        """Known after `start`."""
        if self._ports is None:
            raise RuntimeError("the gateway has not started")
        return self._ports

    @property
    def table(self) -> RouteTable:
        """The models and providers in force."""
        return self._catalogue.table

    def checks(self) -> dict[str, bool]:
        """What readiness depends on."""
        return {
            "redis": self._redis.connected,
            "snapshots": self._snapshots_seen,
            "serving": not self._server.draining,
        }

    async def start(self) -> None:
        """Connects and listens. Does not wait for Redis longer than a second: it may come later."""
        await self._spool.open()
        self._redis.start()
        self._subscriber.start()
        await self._redis.wait_connected(_START_REDIS_SECONDS)
        config = self._config
        self._listener = await self._loop.create_server(
            lambda: cast(asyncio.Protocol, ServerConnection(self._server)),
            config.host,
            config.port,
            backlog=4096,
            reuse_port=config.reuse_port or None,
        )
        metrics_port = await self._ops.start(config.metrics_host, config.metrics_port)
        self._ports = Ports(int(self._listener.sockets[0].getsockname()[1]), metrics_port)
        self._tasks = [
            asyncio.create_task(self._sweep_for_ever(), name="gateway-sweep"),
            asyncio.create_task(self._renew_for_ever(), name="gateway-renew"),
            asyncio.create_task(self._measure_lag_for_ever(), name="gateway-lag"),
            asyncio.create_task(self._reload_for_ever(), name="gateway-reload"),
            asyncio.create_task(self._ask_control_plane_for_ever(), name="gateway-control-feed"),
            asyncio.create_task(self._ledger.replay_for_ever(), name="gateway-replay"),
        ]

    async def drain(self, seconds: float) -> None:
        """Stops without losing a request: not ready, then no new connections; what is open may finish in `seconds`.

        In between, whoever looks at readiness goes elsewhere, and clients that keep connections hear that theirs end.
        """
        if self._stopped:
            return
        self._stopped = True
        self._server.begin_drain()
        await asyncio.sleep(min(self._config.drain_notice_seconds, seconds / 4))
        if self._listener is not None:
            self._listener.close()
            await asyncio.sleep(_JUST_CONNECTED_SECONDS)
        self._server.close_idle()
        await self._pipeline.wait_idle(seconds)
        self._streams.stop()
        self._realtime.stop()
        await self._pipeline.wait_idle(_LAST_FLUSH_SECONDS)
        self._server.abort()
        self._attempts.close()
        self._backends.close()
        self._feed.close()
        await self._pipeline.wait_idle(_LAST_FLUSH_SECONDS)
        await self._ledger.flush(_LAST_FLUSH_SECONDS)
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._ops.close()
        await self._subscriber.close()
        await self._redis.close()
        await self._spool.close()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._loop.time()
            self._server.sweep(now)
            self._backends.sweep(now)
            self._attempts.sweep(now)
            self._feed.sweep(now)
            self._streams.tick(now)
            self._realtime.tick(now)
            if not self._snapshots_seen and self._redis.connected:
                await self._check_snapshots()

    async def _measure_lag_for_ever(self) -> None:
        seconds = self._config.lag_check_seconds
        while True:
            due = self._loop.time() + seconds
            await asyncio.sleep(seconds)
            self._pipeline.tick(self._loop.time() - due)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(self._config.lease_seconds / 6, 5.0))
            await self._ledger.renew_leases()

    def _on_invalidation(self, message: bytes) -> None:
        self._auth.on_invalidation(message)
        if self._catalogue.on_invalidation(message):
            self._reload()

    def _on_subscribed(self) -> None:
        self._auth.distrust_all()
        self._reload()

    def _reload(self) -> None:
        task = asyncio.create_task(self._catalogue.reload(), name="gateway-reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._config.snapshot_fresh_seconds)
            await self._catalogue.reload()

    async def _ask_control_plane_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._config.control_feed_seconds)
            if not self._redis.connected:
                await self._feed.refresh()

    async def _check_snapshots(self) -> None:
        with suppress(RedisUnavailable, RedisReplyError):
            self._snapshots_seen |= bool(await self._redis.execute(b"EXISTS", redis_names.SNAPSHOTS_READY))


async def serve(
    config: GatewayConfig,
    registry: CollectorRegistry,
    logger: Logger,
    spans: RequestSpans | None = None,
    *,
    drain_seconds: float = 30.0,
) -> None:
    """Runs a gateway until SIGTERM or SIGINT, then drains it."""
    gateway = Gateway(config, registry, logger, spans)
    await gateway.start()
    logger.info("gateway_started", port=gateway.ports.public, metrics_port=gateway.ports.metrics)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    logger.info("gateway_draining")
    await gateway.drain(drain_seconds)
