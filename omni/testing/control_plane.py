"""The control plane in one process: its application without a server, its tasks without a queue, its clock by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from omni.domains.payments.facade import Providers
from omni.foundation.crypto.passwords import PasswordCost, Passwords
from omni.foundation.crypto.secrets import MasterKey
from omni.foundation.db.sessions import Database
from omni.foundation.http.app import AppSettings, create_app
from omni.foundation.outbox.relay import Message, relay_batch
from omni.foundation.tasks.task import Delivery, Task
from omni.kit.clock import ManualClock
from omni.portal.control_plane import ControlPlaneDeps, control_plane_routers
from omni.portal.control_plane_tasks import TaskDeps, control_plane_tasks
from omni.telemetry.metrics import HttpMetrics
from omni.telemetry.traces import Tracing
from omni.testing.mail import MailBox
from omni.testing.payments import InMemoryPayments
from omni.testing.status_page import InMemoryStatusPage

if TYPE_CHECKING:
    from omni.foundation.db.system_session import SystemDatabase

CONSOLE_URL = "http://console.test"
CHEAP_PASSWORDS = PasswordCost(memory_kib=8, passes=1)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What a test of the control plane works with."""

    app: FastAPI
    routers: Sequence[APIRouter]
    database: Database
    system_database: SystemDatabase
    redis: Redis
    master_key: MasterKey
    passwords: Passwords
    clock: ManualClock
    mailbox: MailBox
    payments: InMemoryPayments
    status_page: InMemoryStatusPage
    tasks: dict[str, Task]
    delivered: list[Message] = field(default_factory=list)
    """Every message that left the outbox."""

    def client(self) -> httpx2.AsyncClient:
        """A client of the application; no socket is opened."""
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=CONSOLE_URL)

    async def run_tasks(self) -> list[Message]:
        """Empties the outbox and runs what was in it; returns the messages."""
        messages: list[Message] = []

        async def keep(batch: Sequence[Message]) -> None:
            messages.extend(batch)

        async with self.system_database.session() as session:
            while await relay_batch(session, keep):
                pass
        self.delivered.extend(messages)
        for message in messages:
            await self.run_one(message)
        return messages

    async def run_one(self, message: Message) -> None:
        """Runs a message again, if it is for one of these tasks."""
        if message.task in self.tasks:
            await self.tasks[message.task].body(Delivery(message.id, message.args))


def build_control_plane(
    database: Database, system_database: SystemDatabase, redis: Redis, master_key: MasterKey, clock: ManualClock
) -> ControlPlane:
    """Wired as the console and the worker wire it, with the twin as the provider `stripe`."""
    mailbox, passwords, payments = MailBox(), Passwords(CHEAP_PASSWORDS), InMemoryPayments(clock)
    status_page = InMemoryStatusPage()
    providers = Providers({"stripe": payments})
    routers = control_plane_routers(
        ControlPlaneDeps(database, system_database, master_key, passwords, clock, status_page, providers)
    )
    tasks = control_plane_tasks(TaskDeps(database, redis, mailbox, master_key, CONSOLE_URL, clock, providers))
    app = create_app(
        AppSettings("Omni control plane", "test", 1_000_000, trust_request_id=False),
        routers,
        {},
        Tracing("test", "test", None),
        HttpMetrics(CollectorRegistry()),
    )
    by_name = {task.name: task for task in tasks}
    return ControlPlane(
        app, routers, database, system_database, redis, master_key, passwords, clock, mailbox, payments, status_page,
        by_name,
    )  # fmt: skip
