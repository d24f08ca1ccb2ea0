"""Starts the services, then the platform's processes, and stops them in the reverse order of who needs whom."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import structlog

from omni.apps.embedded.launch import StartupError, free_ports
from omni.apps.embedded.postgres import EmbeddedPostgres
from omni.apps.embedded.redis import EmbeddedRedis
from omni.apps.preparation import FirstAccess, Preparation
from omni.apps.settings import Settings
from omni.apps.supervisor.home import Home
from omni.apps.supervisor.logs import ProcessLog
from omni.apps.supervisor.plan import Ports, child_environment, python_processes
from omni.apps.supervisor.process import ProcessSpec, SupervisedProcess

log = structlog.stdlib.get_logger("omni.supervisor")


class Supervisor:
    """One `omni up`."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self._settings = settings
        self._home = home
        self._services: list[SupervisedProcess] = []
        self._processes: list[SupervisedProcess] = []
        self._run_file: dict[str, Any] | None = None

    async def run(self, on_ready: Callable[[dict[str, Any]], None]) -> None:
        """Returns after SIGTERM or SIGINT, when everything has stopped. Raises StartupError."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            starting = asyncio.create_task(self._start())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                on_ready(starting.result())
                await stopping
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
            stopping.cancel()
        finally:
            await self._stop()

    async def _start(self) -> dict[str, Any]:
        ports = Ports.choose(self._settings)
        database_url, redis_url, first_access = await self._start_below()
        environment = child_environment(self._settings, ports, database_url, redis_url)
        specs = python_processes(self._settings, ports, environment)
        self._processes = [self._supervised(spec) for spec in specs]
        self._home.write_targets({name: f"127.0.0.1:{port}" for name, port in ports.metrics.items()})
        await self._start_together(self._processes)
        content: dict[str, Any] = {
            "gateway": f"http://{self._settings.gateway_host}:{ports.gateway}",
            "console": f"http://{self._settings.console_host}:{ports.console}",
            "status": f"http://127.0.0.1:{ports.status}",
            "metrics": {name: ports.metrics_url(name) for name in ports.metrics},
            "database": database_url,
            "redis": redis_url,
            "pids": {},
        }
        if first_access is not None:
            content["bootstrap"] = asdict(first_access)
        self._run_file = content
        self._write_run_file()
        return content

    async def _start_below(self) -> tuple[str, str, FirstAccess | None]:
        """What the processes stand on: the addresses of PostgreSQL and Redis, and what the first start made."""
        preparation = await Preparation.begin(self._home.folder)
        try:
            database_url, redis_url = await self._start_services()
            return database_url, redis_url, await preparation.prepare(database_url)
        finally:
            await preparation.end()

    async def _start_services(self) -> tuple[str, str]:
        """The addresses of PostgreSQL and Redis, started here unless the settings name existing ones."""
        settings, services = self._settings, []
        database_url = settings.database_url.get_secret_value() if settings.database_url else ""
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
        master_key = settings.load_master_key()
        postgres_port, redis_port = free_ports(2, besides=(settings.gateway_port, settings.console_port))
        if not database_url:
            postgres = EmbeddedPostgres(self._home.folder / "postgres", postgres_port, master_key)
            database_url = postgres.url
            services.append(_service_spec(postgres))
        if not redis_url:
            redis = EmbeddedRedis(self._home.folder / "redis", redis_port, master_key)
            redis_url = redis.url
            services.append(_service_spec(redis))
        self._services = [self._supervised(spec) for spec in services]
        await self._start_together(self._services)
        return database_url, redis_url

    def _supervised(self, spec: ProcessSpec) -> SupervisedProcess:
        return SupervisedProcess(spec, ProcessLog(self._home.logs, spec.name), self._write_run_file)

    async def _start_together(self, processes: list[SupervisedProcess]) -> None:
        results = await asyncio.gather(*(process.start() for process in processes), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, StartupError):
                raise failure
        if failures:
            raise StartupError(" ".join(str(failure) for failure in failures))

    def _write_run_file(self) -> None:
        """Keeps the pids in run.json true when a process was started again."""
        if self._run_file is None:
            return
        running = [*self._services, *self._processes]
        self._run_file["pids"] = {process.spec.name: process.pid for process in running if process.pid}
        self._home.write_run_file(self._run_file)

    async def _stop(self) -> None:
        """The door first, so that nothing new comes in; then who works behind it; then what they stand on."""
        self._run_file = None
        gateways = [process for process in self._processes if process.spec.name.startswith("gateway")]
        others = [process for process in self._processes if process not in gateways and process.spec.name != "worker"]
        workers = [process for process in self._processes if process.spec.name == "worker"]
        for group in (gateways, others, workers, list(reversed(self._services))):
            await asyncio.gather(*(process.stop() for process in group))
        log.info("stopped")


def _service_spec(service: EmbeddedPostgres | EmbeddedRedis) -> ProcessSpec:
    return ProcessSpec(
        name=service.name,
        command=service.command,
        wait_until_ready=service.wait_until_ready,
        prepare=service.prepare,
        stop_signal=service.stop_signal,
    )
