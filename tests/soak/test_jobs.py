"""A thousand requests of jobs, whose workers are killed and frozen at random: each is answered and billed once (R2)."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import asyncpg
import openai
import orjson
import psutil
import pytest
from openai.types import Batch

from omni.inference.batches.lines import request_id
from omni.inference.jobs.runner import LEASE
from tests.acceptance.platform import Platform, until
from tests.acceptance.test_batches import MODEL

pytestmark = pytest.mark.soak

BATCHES, LINES = 100, 10
VISIBILITY_SECONDS = 120
"""Of QueueSettings: then Celery delivers again what a dead worker held."""
EVERY_ANSWERS = (20, 60)
"""Between two blows so many more requests were answered."""
SEED = 20_270
WORDS = "the river runs past an old mill where grain was ground for bread until the war came and took its men"


@pytest.mark.timeout(1800)
def test_a_thousand_requests_survive_the_death_of_their_workers(tmp_path: Path) -> None:
    with Platform(tmp_path / "home", {"OMNI_JOB_PROCESSES": "2"}) as platform:
        key = platform.first_access["live_key"]
        with openai.OpenAI(base_url=f"{platform.gateway}/v1", api_key=key, max_retries=3) as client:
            batches = [submit(client, number) for number in range(BATCHES)]
            blows = strike(platform)
            last_blow = time.monotonic()
            late = VISIBILITY_SECONDS + 30
            until(lambda: answered(platform) == BATCHES * LINES, late, "every request is answered")
            until(lambda: all_over(client), late - (time.monotonic() - last_blow), "every job is over")
            print(f"{blows}, the last job was over {time.monotonic() - last_blow:.0f} s after the last blow")
            for batch in batches:
                complete(client, client.batches.retrieve(batch.id))
        until(lambda: sum(billed(platform, batches).values()) >= BATCHES * LINES, 30, "the usage of every request")
        counted = billed(platform, batches)
        assert len(counted) == BATCHES * LINES, "requests were lost"
        assert set(counted.values()) == {1}, "requests were billed twice"
        assert attempts(platform) > BATCHES, "no job was ever taken over: the blows missed"
        verified = platform.command("verify", "--json")
        assert verified.returncode == 0, verified.stdout


def submit(client: openai.OpenAI, number: int) -> Batch:
    """A job of some requests that take a while."""
    words = random.Random(number)
    rows = [
        {
            "custom_id": f"{number}-{line}",
            "method": "POST",
            "url": "/v1/embeddings",
            "body": {"model": MODEL, "input": [" ".join(words.choices(WORDS.split(), k=120)) for _ in range(2)]},
        }
        for line in range(LINES)
    ]
    data = b"\n".join(orjson.dumps(row) for row in rows)
    file = client.files.create(file=("requests.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")


def strike(platform: Platform) -> Counter[str]:
    """Kills children of the worker, the whole worker, and freezes a child for longer than its lease; what it did."""
    chance, done = random.Random(SEED), Counter[str]()
    while (known := answered(platform)) < BATCHES * LINES * 0.9:
        target = known + chance.randint(*EVERY_ANSWERS)
        until(lambda: answered(platform) >= target, 150, f"{target} answers")  # noqa: B023 - done within the turn
        blow = chance.choices(("child", "worker", "freeze"), (6, 2, 1))[0]
        done[blow] += 1
        if blow == "worker":
            platform.kill("worker")
            continue
        victim = chance.choice(children(platform))
        with suppress(psutil.NoSuchProcess):
            if blow == "child":
                victim.kill()
            else:
                victim.suspend()
                time.sleep(LEASE.total_seconds() + 5)
                victim.resume()
    return done


def children(platform: Platform) -> list[psutil.Process]:
    """The processes that work on jobs."""

    def look() -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(platform.run_file()["pids"]["worker"])
            for each in worker.children():
                if each.cmdline()[-1:] == ["omni-jobs"]:
                    return each.children()
        return []

    return until(look, 60, "processes for jobs")


def all_over(client: openai.OpenAI) -> bool:
    return all(batch.status == "completed" for batch in client.batches.list(limit=100).data)


def complete(client: openai.OpenAI, batch: Batch) -> None:
    """Its output has each line once."""
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (LINES, 0)
    assert batch.output_file_id is not None
    rows = [orjson.loads(line) for line in client.files.content(batch.output_file_id).content.splitlines()]
    assert len({row["custom_id"] for row in rows}) == len(rows) == LINES


def answered(platform: Platform) -> int:
    (count,) = query(platform, "select count(*) from batch_answers where status is not null")[0]
    return int(count)


def attempts(platform: Platform) -> int:
    """How often jobs were claimed, in all."""
    (count,) = query(platform, "select sum(attempts) from jobs")[0]
    return int(count)


def billed(platform: Platform, batches: list[Batch]) -> Counter[tuple[str, int]]:
    """How often each request of each batch was counted."""
    ids = {
        request_id(UUID(batch.id.removeprefix("batch_")), line): (batch.id, line)
        for batch in batches
        for line in range(1, LINES + 1)
    }
    rows = query(platform, "select event_id, quantities::text from usage_events")
    found = Counter[tuple[str, int]]()
    strangers = 0
    for event_id, quantities in rows:
        requests = orjson.loads(quantities).get("batch_requests", 0)
        if event_id in ids:
            found[ids[event_id]] += requests
        else:
            strangers += requests
    assert strangers == 0, "usage of requests that no line has"
    return +found


def query(platform: Platform, statement: str) -> list[asyncpg.Record]:
    async def read() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(platform.run_file()["database"])
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    return asyncio.run(read())
