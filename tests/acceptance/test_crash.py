"""kill -9 of every process and service under load: what was answered is counted, once, and the books agree."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from uuid import UUID

import asyncpg
import httpx2
import pytest

from tests.acceptance.platform import Platform, until

CALLERS = 6
VICTIMS = ("gateway", "backend", "worker", "console", "status", "redis", "postgres")


class Load:
    """Callers that go on whatever happens and remember each request that was answered with success."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        self.answered: set[UUID] = set()
        self.failed = 0

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, when: str) -> None:
        """Returns after twenty more answers."""
        goal = len(self.answered) + 20
        until(lambda: len(self.answered) > goal, 30, f"load {when}")

    def _call(self) -> None:
        with self._platform.api() as client:
            client.timeout = httpx2.Timeout(10)
            while not self._stop.is_set():
                try:
                    response = client.post("/v1/text/sentiment", json={"texts": ["What a lovely day!"]})
                except httpx2.TransportError:
                    self.failed += 1
                    self._stop.wait(0.02)
                    continue
                if response.status_code == 200:
                    self.answered.add(UUID(response.headers["x-request-id"]))
                else:
                    self.failed += 1
                    self._stop.wait(0.02)


@pytest.fixture(scope="module")
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("crash")) as started:
        yield started


def recorded(platform: Platform) -> set[UUID]:
    """Ids of all usage events in the database; none while it cannot be asked."""

    async def read() -> set[UUID]:
        connection = await asyncpg.connect(platform.run_file()["database"])
        try:
            return {UUID(str(row["event_id"])) for row in await connection.fetch("select event_id from usage_events")}
        finally:
            await connection.close()

    try:
        return asyncio.run(read())
    except (OSError, asyncpg.PostgresError):
        return set()


def no_differences(platform: Platform) -> None:
    done = platform.command("verify", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["differences"] == []


def test_nothing_answered_is_lost_and_nothing_counted_twice(own_platform: Platform) -> None:
    with Load(own_platform) as load:
        for victim in VICTIMS:
            load.go_on(f"before killing {victim}")
            own_platform.kill(victim)
        load.go_on("at the end")
    until(lambda: load.answered <= recorded(own_platform), 45, "every answered request is recorded")
    no_differences(own_platform)


def test_the_platform_comes_back_after_the_death_of_everything(own_platform: Platform) -> None:
    with Load(own_platform) as load:
        until(lambda: len(load.answered) > 50, 30, "load")
        own_platform.kill_everything()
    own_platform.start()
    until(lambda: load.answered <= recorded(own_platform), 60, "every answered request is recorded")
    no_differences(own_platform)
