"""The worker's own loops: outbox → task queue, usage stream → PostgreSQL, expired holds, schedules, snapshots."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from functools import partial

import asyncpg
import structlog

from omni.apps.worker.inspecting import Inspector
from omni.apps.worker.loops import Loop
from omni.apps.worker.services import SCHEDULES, Services
from omni.contracts.redis_names import SNAPSHOTS_READY
from omni.domains.budgets import facade as budgets
from omni.domains.keys import facade as keys
from omni.domains.metering import facade as metering
from omni.domains.models import facade as models
from omni.domains.plans import facade as plans
from omni.domains.pricing import facade as pricing
from omni.domains.tenants import facade as tenants
from omni.foundation.db.locks import try_lock
from omni.foundation.outbox.relay import WAKE_CHANNEL, oldest_age_seconds, relay_batch
from omni.foundation.outbox.schedule import enqueue_due
from omni.foundation.tasks.celery_app import TaskQueue
from omni.kit.clock import SystemClock, unix_micros
from omni.telemetry.metrics import PlatformMetrics, WorkerMetrics

DRAIN_LANES = 2
"""While PostgreSQL stores one lane's batch, the other reads its own."""
DRAIN_BATCH = 1_000
DRAIN_BLOCK_MS = 200
CLAIM_EVERY_ROUNDS = 50
REPUBLISH_SECONDS = 60.0
INSPECT_SECONDS = 10.0
COMPARE_SECONDS = 3600.0

log = structlog.stdlib.get_logger("omni.worker")


class Pump:
    """All loops of one worker process. Any number of workers may run; they share the work."""

    def __init__(self, services: Services, queue: TaskQueue, metrics: WorkerMetrics, platform: PlatformMetrics) -> None:
        self._services = services
        self._queue = queue
        self._metrics = metrics
        self._clock = SystemClock()
        process = f"{socket.gethostname()}-{os.getpid()}"
        self._drains = [
            metering.Drain(services.redis, services.system.session, f"{process}-{lane}") for lane in range(DRAIN_LANES)
        ]
        self._counters = metering.Counters(services.redis)
        self._drain_rounds = 0
        self._drain_delay = metrics.drain_delay.one()
        self._published_at = 0.0
        self._inspector = Inspector(services, platform, metrics, self._clock)
        self._relay = Loop("relay", self._relay_round, 1.0, metrics)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; then one more round of relay and drain, so that nothing waits for the next start."""
        loops = [
            self._relay,
            *(Loop("drain", partial(self._drain_round, drain), 0.02, self._metrics) for drain in self._drains),
            Loop("reap", self._reap_round, 1.0, self._metrics),
            Loop("reconcile", self._reconcile_round, 1.0, self._metrics),
            Loop("schedule", self._schedule_round, 5.0, self._metrics),
            Loop("inspect", self._inspector.read_round, INSPECT_SECONDS, self._metrics),
            Loop("compare", self._inspector.compare_round, COMPARE_SECONDS, self._metrics),
            Loop("budget-alerts", self._alerts_round, 5.0, self._metrics),
        ]
        waking = asyncio.create_task(self._listen(stop))
        await asyncio.gather(*(loop.run(stop) for loop in loops))
        waking.cancel()
        await asyncio.gather(waking, return_exceptions=True)
        while await self._drain_round(self._drains[0]) or await self._relay_round():
            pass

    async def _listen(self, stop: asyncio.Event) -> None:
        """Wakes the relay when a message was committed. Without the connection it still looks once a second."""
        while not stop.is_set():
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self._services.listen_dsn, timeout=5)
                try:
                    await connection.add_listener(WAKE_CHANNEL, lambda *_: self._relay.wake())
                    while not stop.is_set():
                        await asyncio.sleep(5)
                        await connection.execute("select 1")
                finally:
                    await connection.close(timeout=1)
            await asyncio.sleep(1)

    async def _relay_round(self) -> bool:
        async with self._services.system.session() as session:
            relayed = await relay_batch(session, self._queue.send)
            if not relayed:
                self._metrics.outbox_age.set(await oldest_age_seconds(session))
        self._metrics.relayed_messages.inc(relayed)
        return relayed > 0

    async def _drain_round(self, drain: metering.Drain) -> bool:
        abandoned = self._drain_rounds % CLAIM_EVERY_ROUNDS == 0
        self._drain_rounds += 1
        entries = await drain.claim_abandoned(DRAIN_BATCH) if abandoned else []
        entries = entries or await drain.read(DRAIN_BATCH, DRAIN_BLOCK_MS)
        self._metrics.drain_lag.set(await drain.backlog())
        if not entries:
            return False
        drained = await drain.store(entries)
        for outcome in ("new", "duplicate", "rejected"):
            self._metrics.drained_events.labels(outcome).inc(getattr(drained, outcome))
        now, delays = unix_micros(), self._drain_delay
        for micros in drained.occurred_at_micros:
            delays.add((now - micros) / 1e6)
        if drained.last_used:
            async with self._services.system.session() as session:
                await keys.record_last_used(session, drained.last_used)
        return True

    async def _reap_round(self) -> bool:
        reaped = await self._counters.reap()
        self._metrics.reaped_holds.inc(reaped)
        return reaped > 0

    async def _alerts_round(self) -> bool:
        await budgets.find_alerts(self._services.database, self._services.system.session, self._clock.now())
        await budgets.run_wallets(self._services.database, self._services.system.session, self._clock.now())
        return False

    async def _schedule_round(self) -> bool:
        async with self._services.system.session() as session:
            await enqueue_due(session, SCHEDULES, self._clock.now())
        return False

    async def _reconcile_round(self) -> bool:
        """Puts back what a flushed or new Redis lacks; once a minute publishes every snapshot and mends counters."""
        missing = await self._counters.partitions_not_ready()
        if missing:
            async with self._services.system.session() as session:
                if await try_lock(session, "rebuild-counters"):
                    await self._counters.rebuild(session, missing, self._clock.now())
                    log.info("counters_rebuilt", partitions=len(missing))
        loop_time = asyncio.get_running_loop().time()
        published = await self._services.redis.exists(SNAPSHOTS_READY)
        if not published or loop_time - self._published_at > REPUBLISH_SECONDS:
            await self._publish_snapshots()
            async with self._services.system.session() as session:
                await self._counters.raise_to_truth(session, self._clock.now())
            self._published_at = loop_time
        return False

    async def _publish_snapshots(self) -> None:
        open_session, client = self._services.system.session, self._services.redis
        await plans.publish_all(open_session, client)
        await tenants.publish_all(open_session, client)
        await keys.publish_all(open_session, client)
        database = self._services.database
        await models.publish_all(database, open_session, client, models.Secrets(self._services.master_key))
        await budgets.publish_all(database, open_session, client)
        async with database.shared() as session:
            await pricing.publish_prices(session, client)
        await client.set(SNAPSHOTS_READY, "1")
