"""What must not be anywhere is nowhere: keys and passwords on disk, tenants and paths in metrics."""

from __future__ import annotations

import asyncio
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from tests.acceptance.platform import Platform, until
from tests.acceptance.watching import Watched, finds
from tools.metric_lint import LABELS


def files_with(folder: Path, needle: bytes) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.is_file() and file.stat().st_size:
            with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(needle) >= 0:
                    yield file


@pytest.mark.parametrize("secret", ["live_key", "test_key", "operator_password"])
def test_a_secret_is_in_run_json_and_nowhere_else(platform: Platform, secret: str) -> None:
    with platform.api() as client, platform.control() as control:
        assert client.get("/v1/models").status_code == 200
        assert control.get("/api/me").status_code == 200
    needle = platform.first_access[secret].encode()
    assert [file.name for file in files_with(platform.home, needle)] == ["run.json"]


def test_prompts_are_not_in_logs(platform: Platform) -> None:
    canary = "canary-4f1c9d sentence that nobody may log"
    with platform.api() as client:
        assert client.post("/v1/text/sentiment", json={"texts": [canary]}).status_code == 200
        assert client.post("/v1/text/sentiment", json={"texts": [canary], "unknown": {}}).status_code in (200, 400)
        assert client.post("/v1/embeddings", json={"model": canary, "input": canary}).status_code == 404
    assert list(files_with(platform.home / "logs", canary.encode())) == []


def test_metrics_have_no_labels_of_persons_or_paths(platform: Platform) -> None:
    for name, url in platform.run_file()["metrics"].items():
        scrape = httpx2.get(url, trust_env=False).text
        samples = [line for line in scrape.splitlines() if line and not line.startswith("#")]
        labels = {label for line in samples for label in re.findall(r'[{,](\w+)="', line)}
        assert labels <= LABELS, (name, labels - LABELS)
        assert platform.first_access["tenant"] not in scrape


CANARY = "canary-77c2 the words of a prompt"
CARD = "4111 1111 1111 1111"
EMAIL = "canary-77c2@example.com"
PASSWORD = "canary-77c2 a password"
TOKEN = "omni_live_canary77c2thatisnokey"


def plant_in_the_api(watched: Watched) -> None:
    """Puts canaries wherever a caller of the API can put something."""
    platform, text = watched.platform, f"{CANARY} {CARD} {EMAIL}"
    odd = {"idempotency-key": TOKEN, "baggage": f"user={EMAIL}", "tracestate": "v=canary-77c2", "omni-tags": CANARY}
    with platform.api() as client:
        for body in ({"texts": [text]}, {"texts": [text], CARD: CARD}, {"texts": CARD}):
            client.post("/v1/text/sentiment", json=body, headers=odd, params={"card": CARD})
        client.post("/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": text})
        client.post("/v1/chat/completions", json={"model": CANARY, "messages": [{"role": "user", "content": text}]})
        client.get(f"/v1/collections/{EMAIL}")
        client.get(f"/v1/{TOKEN}")
        client.post("/v1/text/sentiment", content=f"{text} is not JSON".encode())
        made = client.post("/v1/collections", json={"name": text}).json()
        path = f"/v1/collections/{made['id']}"
        client.post(f"{path}/documents", json={"name": EMAIL, "text": text})
        found = client.post(f"{path}/search", json={"query": text})
        assert CANARY in found.text, "what is stored comes back as an answer"
    with platform.api(TOKEN) as stranger:
        assert stranger.get("/v1/models").status_code == 401


def plant_in_the_console(watched: Watched) -> None:
    console, name = watched.platform.console, f"{uuid4().hex}-{EMAIL}"
    body = {"email": name, "password": PASSWORD, "tenant_name": CANARY}
    assert httpx2.post(f"{console}/api/signup", json=body, trust_env=False).status_code == 201
    for password in (PASSWORD, f"not {PASSWORD}"):
        httpx2.post(f"{console}/api/auth/login", json={"email": name, "password": password}, trust_env=False)
    httpx2.post(f"{console}/api/signup", json={"email": CARD, "password": 1, CANARY: TOKEN}, trust_env=False)
    until(lambda: any(name in message for message in watched.mailbox.messages), 15, "the mail")


async def rename(watched: Watched, table: str, name: str) -> None:
    """Takes a table away, or brings it back: what needs it crashes with an error of the database."""
    connection = await asyncpg.connect(watched.platform.run_file()["database"])
    await connection.execute(f"alter table {table} rename to {name}")
    await connection.close()


def crash_with_canaries(watched: Watched) -> None:
    """Unhandled errors of backend and console, over requests that hold canaries."""
    asyncio.run(rename(watched, "collections", "collections_away"))
    asyncio.run(rename(watched, "users", "users_away"))
    try:
        with watched.platform.api() as client:
            assert client.post("/v1/collections", json={"name": f"{CANARY} {CARD}"}).status_code == 500
        body = {"email": EMAIL, "password": PASSWORD}
        url = f"{watched.platform.console}/api/auth/login"
        assert httpx2.post(url, json=body, trust_env=False).status_code == 500
    finally:
        asyncio.run(rename(watched, "collections_away", "collections"))
        asyncio.run(rename(watched, "users_away", "users"))
    until(lambda: {"backend", "console"} <= {event["tags"]["process"] for event in watched.sentry.events}, 10, "events")
    for event in watched.sentry.events:
        assert re.fullmatch("[0-9a-f]{32}", event["tags"]["trace_id"])


def test_what_callers_send_is_in_no_log_span_metric_event_or_kept_trace(watched: Watched) -> None:
    plant_in_the_api(watched)
    plant_in_the_console(watched)
    crash_with_canaries(watched)
    until(lambda: b"/api/signup" in watched.told()["spans"], 10, "the last spans")
    told = watched.told()
    evidence = {
        "logs": b"request_crashed", "spans": b"/v1/collections", "metrics": b"/v1/text/sentiment",
        "sentry": b"UndefinedTableError", "slow traces": b"/v1/collections",
    }  # fmt: skip
    assert [where for where, content in told.items() if evidence[where] not in content] == []
    secrets = [CANARY, "canary-77c2", CARD, EMAIL, PASSWORD, TOKEN, watched.platform.first_access["live_key"]]
    assert finds(told, secrets) == []
    for where, content in told.items():
        planted = {**told, where: content + b" 4111111111111111 canary-77c2%20the%20words%20of%20a%20prompt"}
        assert finds(planted, secrets) == [(where, CANARY), (where, "canary-77c2"), (where, CARD)]
