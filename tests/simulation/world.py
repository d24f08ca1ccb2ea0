"""What is simulated: Redis, PostgreSQL, the gateways, the clock, and the books that every script is compared with."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from omni.contracts.money import PriceBook, Rate
from omni.gateway.admission.limits import Scripts
from omni.gateway.admission.prices import Prices
from omni.gateway.config import GatewayConfig
from omni.gateway.metrics import GatewayMetrics
from omni.gateway.observers import Observers
from omni.gateway.redis.client import Script
from omni.gateway.redis.resp import Argument
from tests.gateway.support import RecordingLogger
from tests.simulation.books import Asked, Books, Violation
from tests.simulation.clock import MICROS, Clock, VirtualLoop
from tests.simulation.faults import Faults, Plant
from tests.simulation.gateways import Disk, SimGateway
from tests.simulation.postgres import SimPostgres
from tests.simulation.redis import Interpreter, SimRedis
from tests.simulation.worker import WorkerClient

PARTITIONS = 2
LEASE_SECONDS = 3.0
PRICES = PriceBook(
    "EUR",
    {
        "": {
            "requests": (Rate(0, 500, 1),),
            "input_tokens": (Rate(0, 1_000, 1),),
            "output_tokens": (Rate(0, 3_000, 1),),
        }
    },
)


class Shared:
    """What seeds share, because making it takes longer than a seed."""

    def __init__(self) -> None:
        self.interpreter = Interpreter()
        self.observers = Observers(GatewayMetrics(CollectorRegistry()), RecordingLogger(), None)


_REQUEST_AT = {"admit": -4, "settle": -8, "extend": -4}
"""Where the id of the request stands among the arguments of a script."""


class World:
    """One seed's."""

    def __init__(self, seed: int, shared: Shared, plant: Plant) -> None:
        self.random = Random(seed)
        self.faults = Faults.draw(self.random)
        self.clock = Clock(_start(self.random))
        self.loop = VirtualLoop(self.clock)
        self.redis = SimRedis(self.clock, shared.interpreter)
        self.postgres = SimPostgres(self.pause)
        self.books = Books(self.clock, self.redis, self.postgres)
        self.redis.on_event = self.books.event
        self.observers = shared.observers
        self.prices = Prices()
        self.prices.replace(PRICES)
        self.config = GatewayConfig(
            host="", port=0, metrics_port=0, backend_urls=(), redis_url="", principal_secret=b"",
            credentials_key=b"", spool_dir=Path(), lease_seconds=LEASE_SECONDS, outage_money_per_mille=100,
        )  # fmt: skip
        self._plant = plant
        self.scripts = Scripts(LEASE_SECONDS)
        self._names: dict[bytes, str] = {}
        for name in ("admit", "settle", "renew", "extend"):
            script: Script = getattr(self.scripts, name)
            script.source = plant.source(name, script.source)
            self._names[script.source] = name
        self.worker = WorkerClient(self)
        self.disk = Disk()
        self.gateways: list[SimGateway] = []
        self.alive: set[int] = set()
        self.redis_up = True
        self.quiet = False
        self.jumped_at = -1e9
        """When the clock of Redis last jumped, virtual seconds."""
        self.trace: list[str] = []
        self.failure: BaseException | None = None
        self._numbered = 0

    # --- time and chance ---

    async def pause(self, mean_seconds: float) -> None:
        await asyncio.sleep(self.random.expovariate(1 / mean_seconds))

    def fate(self) -> str:
        """What befalls the next call to Redis."""
        return "" if self.quiet else self.faults.fate(self.random)

    def new_id(self) -> UUID:
        self._numbered += 1
        return UUID(int=(self.clock.true_micros() // 1000 << 80) | (0x7 << 76) | (0x8 << 60) | self._numbered)

    def note(self, text: str) -> None:
        self.trace.append(f"{self.clock.seconds:.6f} {text}")

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]

    def fail(self, error: BaseException) -> None:
        """The first thing that went wrong is what the seed tells."""
        self.failure = self.failure or error

    # --- scripts ---

    def source(self, script: str, source: bytes) -> bytes:
        return self._plant.source(script, source)

    def execute(self, script: Script, keys_and_args: Sequence[Argument], gateway: int) -> Any:
        """Runs a gateway's script and compares the books. Raises Violation."""
        count = int(keys_and_args[0])
        parts = [part if isinstance(part, bytes) else str(part).encode() for part in keys_and_args[1:]]
        keys, args = parts[:count], parts[count:]
        name = self._names[script.source]
        asked = None if name == "renew" else self.books.asked[args[_REQUEST_AT[name]]]
        partition = int(keys[0][2:4])
        self.books.before(name, asked, partition)
        reply = self.checked(lambda: self.redis.run(script.source, keys, args))
        self.note(f"{name} {gateway} {'' if asked is None else asked.hex.decode()} {reply}")
        more = 0
        if name == "extend" and asked is not None:
            more = int(args[-2]) if args[-2] else int(args[-1]) - asked.held_nanos
        self.checked(lambda: self.books.after(name, asked, partition, reply, more))
        return reply

    def checked(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Violation as error:
            self.fail(error)
            raise

    def reap(self, source: bytes, keys: list[bytes], args: list[bytes]) -> Any:
        """Runs the worker's reaper. Raises Violation."""
        partition, index, now_ms = int(keys[0][2:4]), self.redis.table(keys[0]), self.clock.redis_micros() // 1000
        before = dict(index)
        self.books.before("reap", None, partition)
        reply = self.checked(lambda: self.redis.run(source, keys, args))
        if reply:
            self.note(f"reap {partition} {reply}")
        self.checked(lambda: self.books.after("reap", None, partition, reply))
        for each in sorted(before.keys() - index.keys()):
            asked = self.books.asked[each]
            if before[each] > now_ms or self._is_being_served(asked):
                error = Violation(f"the lease of {asked.hex.decode()} ran out while it was served")
                self.fail(error)
                raise error
        return reply

    def _is_being_served(self, asked: Asked) -> bool:
        """Whether its gateway lives, knows of it, and could have renewed it all the time."""
        if asked.gateway not in self.alive or not asked.waiting:
            return False
        line = next(gateway.line for gateway in self.gateways if gateway.number == asked.gateway)
        return self.clock.seconds - max(line.troubled_at, self.jumped_at) > 2 * LEASE_SECONDS


def _start(random: Random) -> int:
    """Some seconds before the end of a month, or before midnight, or in the middle of a day: Unix microseconds."""
    moment = random.choice(("2026-01-31T23:59:45+00:00", "2026-03-14T23:59:50+00:00", "2026-06-10T12:00:00+00:00"))
    return int(datetime.fromisoformat(moment).timestamp()) * MICROS
