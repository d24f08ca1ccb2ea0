"""Files and batches through the unmodified `openai` client: half the price, and once each, whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import openai
import orjson
import psutil
import pytest
from openai.types import Batch

from omni.inference.batches.lines import request_id
from tests.acceptance.platform import Platform, until

MODEL = "all-MiniLM-L6-v2"
ENDED = ("completed", "failed", "expired", "cancelled")
LINES = 150


@pytest.fixture
def client(platform: Platform) -> Iterator[openai.OpenAI]:
    key = platform.first_access["live_key"]
    with openai.OpenAI(base_url=f"{platform.gateway}/v1", api_key=key, max_retries=0) as made:
        yield made


def requests(*texts: str) -> bytes:
    rows = [
        {"custom_id": text, "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": text}}
        for text in texts
    ]
    return b"\n".join(orjson.dumps(row) for row in rows)


def submit(client: openai.OpenAI, data: bytes) -> Batch:
    file = client.files.create(file=("requests.jsonl", data), purpose="batch")
    assert client.files.retrieve(file.id).bytes == len(data)
    return client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")


def ended(client: openai.OpenAI, batch: Batch, seconds: float) -> Batch:
    def look() -> Batch | None:
        found = client.batches.retrieve(batch.id)
        return found if found.status in ENDED else None

    return until(look, seconds, "the end of the batch")


def events(platform: Platform, batch: Batch) -> list[dict[str, int]]:
    """What the usage events of a batch's requests count."""
    ids = [request_id(UUID(batch.id.removeprefix("batch_")), line + 1) for line in range(LINES)]

    async def read() -> list[str]:
        connection = await asyncpg.connect(platform.run_file()["database"])
        try:
            rows = await connection.fetch(
                "select quantities::text from usage_events where event_id = any($1) order by event_id", ids
            )
        finally:
            await connection.close()
        return [row[0] for row in rows]

    return [orjson.loads(row) for row in asyncio.run(read())]


def test_a_batch_gives_what_single_requests_give_at_half_the_price(client: openai.OpenAI, platform: Platform) -> None:
    texts = [f"The price of question {n} is halved." for n in range(5)]
    single = client.embeddings.create(model=MODEL, input=texts[0])
    batch = ended(client, submit(client, requests(*texts)), 60)
    assert (batch.status, batch.error_file_id) == ("completed", None)
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed) == (5, 5)
    assert batch.output_file_id is not None
    rows = [orjson.loads(line) for line in client.files.content(batch.output_file_id).content.splitlines()]
    assert [row["custom_id"] for row in rows] == texts
    embedding = rows[0]["response"]["body"]["data"][0]["embedding"]
    assert embedding == pytest.approx(single.data[0].embedding, abs=1e-5)
    until(lambda: len(events(platform, batch)) == 5, 15, "the usage of the batch")
    for row, counted in zip(rows, sorted(events(platform, batch), key=repr), strict=True):
        assert counted.keys() == {"batch_requests", "batch_input_tokens", "batch_compute_ms", "spend_nanos"}
        assert counted["batch_input_tokens"] == row["response"]["body"]["usage"]["prompt_tokens"]
        full = 500_000 + counted["batch_input_tokens"] * 100 + counted["batch_compute_ms"] * 2_000
        assert counted["spend_nanos"] == full // 2, "half of what the first prices say"


def test_every_request_is_billed_once_though_workers_are_killed(client: openai.OpenAI, platform: Platform) -> None:
    batch = submit(client, requests(*(f"Line {n} of a long batch." for n in range(LINES))))
    for enough in (LINES // 10, LINES // 2):
        until(partial(has_answers, client, batch, enough), 60, "some answers")
        job_worker(platform).kill()
    batch = ended(client, batch, 180)
    assert batch.request_counts is not None
    assert (batch.status, batch.request_counts.completed) == ("completed", LINES)
    assert batch.output_file_id is not None
    rows = [orjson.loads(line) for line in client.files.content(batch.output_file_id).content.splitlines()]
    assert len({row["custom_id"] for row in rows}) == len(rows) == LINES

    until(lambda: len(events(platform, batch)) == LINES, 20, "the usage of the batch")
    assert all(counted["batch_requests"] == 1 for counted in events(platform, batch))
    verified = platform.command("verify", "--json")
    assert verified.returncode == 0, verified.stdout


def has_answers(client: openai.OpenAI, batch: Batch, enough: int) -> bool:
    counts = client.batches.retrieve(batch.id).request_counts
    return counts is not None and counts.completed >= enough


def job_worker(platform: Platform) -> Any:
    """The process that works on jobs."""
    worker = psutil.Process(platform.run_file()["pids"]["worker"])
    (parent,) = [each for each in worker.children() if each.cmdline()[-1:] == ["omni-jobs"]]
    return until(lambda: next(iter(parent.children()), None), 30, "a process for jobs")
