"""What must not be anywhere is nowhere: keys and passwords on disk, tenants and paths in metrics."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.platform import Platform
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
