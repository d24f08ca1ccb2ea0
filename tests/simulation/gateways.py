"""Gateways of the simulation: the real Ledger, on a line to Redis that breaks and a disk that outlives its process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from omni.gateway.admission.ledger import Ledger
from omni.gateway.admission.spool import Send, SpoolSendFailed, _read_line
from omni.gateway.redis.client import Script
from omni.gateway.redis.resp import Argument, RedisNotConnected, RedisUnavailable
from tests.gateway.support import script_arguments

if TYPE_CHECKING:
    from tests.simulation.world import World

_REPLAY_BATCH = 100


class Disk:
    """Spooled lines of one machine, by file; a file whose process is dead may be taken over."""

    def __init__(self) -> None:
        self.files: list[tuple[int, list[bytes]]] = []


class MemorySpool:
    """The spool's promises without its threads: a line is kept from when `append` returns; a file goes as a whole."""

    def __init__(self, world: World, disk: Disk, owner: int) -> None:
        self._world = world
        self._disk = disk
        self._owner = owner
        self._current: list[bytes] | None = None
        self._replaying = asyncio.Lock()

    async def append(self, event: bytes, settle: Sequence[Argument]) -> None:
        texts = [part.decode("utf-8") if isinstance(part, bytes) else part for part in settle]
        await self._world.pause(0.002)
        if self._current is None:
            self._current = []
            self._disk.files.append((self._owner, self._current))
        self._current.append(orjson.dumps({"event": orjson.Fragment(event), "settle": texts}))

    async def replay(self, send: Send) -> bool:
        async with self._replaying:
            self._current = None
            mine = [file for file in self._disk.files if file[0] == self._owner or file[0] not in self._world.alive]
            for file in mine:
                for start in range(0, len(file[1]), _REPLAY_BATCH):
                    batch = file[1][start : start + _REPLAY_BATCH]
                    if not all(await asyncio.gather(*(self._send(line, send) for line in batch))):
                        return False
                if file in self._disk.files:
                    self._disk.files.remove(file)
            return True

    async def _send(self, line: bytes, send: Send) -> bool:
        try:
            await send(*_read_line(line))
        except SpoolSendFailed:
            return False
        return True


class Line:
    """A gateway's connection to Redis: calls may be lost, their replies too, or they arrive when nobody waits."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._serial = 0
        self._up_at = 0.0
        self.connected = False
        self.troubled_at = -1e9
        """When it last was down, virtual seconds."""

    async def eval(self, script: Script, *keys_and_args: Argument) -> Any:
        """As RedisClient.eval. Raises RedisUnavailable."""
        world, serial = self._world, self._serial
        if not self.connected:
            raise RedisNotConnected("not connected")
        fate = world.fate()
        await world.pause(0.003)
        if serial != self._serial or fate == "lost":
            self.cut(serial)
            raise RedisUnavailable("the call was lost")
        if fate == "late":
            return await self._late(script, serial, keys_and_args)
        reply = world.execute(script, keys_and_args, self._number)
        await world.pause(0.003)
        if serial != self._serial or fate == "unheard":
            self.cut(serial)
            raise RedisUnavailable("the reply was lost")
        return reply

    async def call(self, packed: bytes) -> Any:
        """As RedisClient.call."""
        script = next(each for each in self._world.scripts.all() if each.sha in packed)
        return await self.eval(script, *script_arguments(packed))

    async def _late(self, script: Script, serial: int, keys_and_args: tuple[Argument, ...]) -> Any:
        """Redis stalls: the gateway gives up and hangs up; what lies in the socket is carried out afterwards."""
        self._up_at = self._world.clock.seconds + 1.0
        world = self._world

        def carry_out() -> None:
            if world.redis_up:
                world.execute(script, keys_and_args, self._number)

        world.loop.call_later(0.6, carry_out)
        await asyncio.sleep(0.25)
        self.cut(serial)
        raise RedisUnavailable("Redis stalls")

    def cut(self, serial: int | None = None) -> None:
        """The connection is gone, and every call that is under way on it."""
        if serial is None or serial == self._serial:
            self._serial += 1
            self.connected = False
            self.troubled_at = self._world.clock.seconds

    async def keep_connected(self, ledger: Ledger) -> None:
        while True:
            if not self.connected:
                self.troubled_at = self._world.clock.seconds
                if self._world.redis_up and self._world.clock.seconds >= self._up_at:
                    self.connected = True
                    await ledger.on_redis_connected()
            await self._world.pause(0.2)


class SimGateway:
    """One process."""

    def __init__(self, world: World, number: int, disk: Disk) -> None:
        self.world = world
        self.number = number
        self.line = Line(world, number)
        spool: Any = MemorySpool(world, disk, number)
        line: Any = self.line
        self.ledger = Ledger(line, world.scripts, spool, world.prices, world.observers, world.config)
        self.tasks: set[asyncio.Task[None]] = set()
        self.skew_micros = world.random.randrange(-1_500_000, 1_500_000)

    def start(self) -> None:
        self.run(self.line.keep_connected(self.ledger))
        self.run(self._renew_for_ever())
        self.run(self.ledger.replay_for_ever())

    def run(self, work: Any) -> None:
        task = self.world.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.world.fail(error)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(self.world.config.lease_seconds / 6, 5.0))
            await self.ledger.renew_leases()

    async def die(self) -> None:
        """kill -9: whatever it was doing, it does no more."""
        self.line.cut()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
