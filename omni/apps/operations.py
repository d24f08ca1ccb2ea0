"""The operations page of the console, and the loop that reads what it shows."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import httpx2
import structlog
from fastapi import APIRouter

from omni.apps.settings import Settings
from omni.domains.operations.repository import FiguresFile
from omni.domains.operations.rules import ROUND_SECONDS
from omni.domains.operations.service import AlertmanagerReader, Collector, OverviewService
from omni.foundation.redis_client import create_redis
from omni.kit.clock import Clock
from omni.portal.operations import routes as operations
from omni.portal.operations.traces import RedisTraces
from omni.portal.ui import sessions as signing
from omni.portal.ui.pages import ConsolePages
from omni.portal.ui.sessions import BrowserSessions

HTTP_SECONDS = 3.0
log = structlog.stdlib.get_logger("omni.operations")


@dataclass(frozen=True, slots=True)
class Operations:
    """Call `close` once `run` is cancelled."""

    routers: list[APIRouter]
    collector: Collector
    figures: FiguresFile
    client: httpx2.AsyncClient
    traces: RedisTraces

    async def run(self) -> None:
        """Reads by a fixed pace, for ever. A round that fails is logged, and the next one tries again."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                await self.collector.read_round(self.client)
            except Exception:
                log.exception("reading the processes' metrics failed")
            due = max(due + ROUND_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())

    async def close(self) -> None:
        await self.client.aclose()
        await self.traces.close()
        self.figures.close()


def create_operations(settings: Settings, sessions: BrowserSessions, clock: Clock) -> Operations:
    """Call `close` at the end."""
    client = httpx2.AsyncClient(timeout=HTTP_SECONDS, trust_env=False)
    figures = _open_figures(settings.home / "console" / "figures.sqlite3")
    targets = settings.metrics_targets or settings.home / "prometheus" / "targets.json"
    collector = Collector(targets, figures, clock)
    alertmanager = AlertmanagerReader(client, settings.alertmanager_url) if settings.alertmanager_url else None
    traces = RedisTraces(create_redis(settings.redis_address()) if settings.redis_url is not None else None)
    pages = ConsolePages(signing.FOLDER, operations.FOLDER)
    overview = OverviewService(collector, figures, alertmanager, clock)
    portal = operations.OperationsPortal(overview, traces, sessions, pages)
    routers = [pages.router(), signing.router(sessions, pages), operations.router(portal)]
    return Operations(routers, collector, figures, client, traces)


def _open_figures(path: Path) -> FiguresFile:
    """Figures of the last days are no reason for the console not to start: a broken file is put aside."""
    try:
        return FiguresFile(path)
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".broken")
        log.error("figures_put_aside", file=str(aside), reason=error)
        path.replace(aside)
        for left in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            left.unlink(missing_ok=True)
        return FiguresFile(path)
