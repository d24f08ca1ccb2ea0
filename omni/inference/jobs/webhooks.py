"""Tells those who asked for it that a job has ended: at least once, signed, with growing pauses while it fails."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import httpx2
import orjson
import structlog

from omni.foundation import webhooks
from omni.foundation.db.sessions import Database, SystemSession
from omni.foundation.outbound import OutboundPost, TargetRefused
from omni.inference.jobs import repository
from omni.inference.jobs.repository import DueWebhook
from omni.kit.clock import Clock

AT_ONCE = 20

log = structlog.stdlib.get_logger("omni.jobs")


def job_secret(key: bytes, job_id: UUID) -> str:
    """The secret that a job's webhook is signed with: nothing is stored, and no job's secret opens another's."""
    return webhooks.secret_text(hmac.digest(key, job_id.bytes, hashlib.sha256))


class JobWebhooks:
    """Delivers what is due."""

    def __init__(
        self, database: Database, open_system: Callable[[], AbstractAsyncContextManager[SystemSession]],
        outbound: OutboundPost, key: bytes, clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._open_system = open_system
        self._outbound = outbound
        self._key = key
        self._clock = clock

    async def deliver_due(self) -> int:
        """Tries what is due, at most 20; how many were tried."""
        async with self._open_system() as session:
            due = await repository.claim_webhooks(session, self._clock.now(), webhooks.PAUSES, AT_ONCE)
        await asyncio.gather(*(self._deliver(each) for each in due))
        return len(due)

    async def _deliver(self, due: DueWebhook) -> None:
        why = await self._post(due)
        if why is not None and not due.last:
            return
        async with self._database.write(due.tenant_id) as session:
            await repository.webhook_done(session, due.job.id, due.job.attempts)
            if why is not None:
                await repository.log(session, due.job.id, "warning", f"The webhook was given up: {why}")

    async def _post(self, due: DueWebhook) -> str | None:
        """None once it was taken, or the receiver wants no more; else why not."""
        job = due.job
        body = orjson.dumps({
            "type": f"job.{job.state}", "timestamp": job.ended_at, "data": job.model_dump(mode="json"),
        })  # fmt: skip
        message_id, timestamp = f"{job.id}.{job.attempts}", int(self._clock.now().timestamp())
        headers = webhooks.headers(job_secret(self._key, job.id), message_id, timestamp, body)
        try:
            status = await self._outbound.post(due.url, body, {**headers, "User-Agent": "Omni"})
        except TargetRefused as error:
            return str(error)
        except (OSError, TimeoutError, httpx2.HTTPError) as error:
            log.warning("job_webhook_failed", job_id=str(job.id), reason=error)
            return "the receiver could not be reached."
        if status == webhooks.GONE or 200 <= status < 300:
            return None
        return f"the receiver answered with {status}."
