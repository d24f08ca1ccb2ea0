"""Half an hour in which all is well: no alert but the dead man's switch."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.platform import Platform, until
from tests.drill.drill import calm
from tests.drill.faults import Provider, publish_model, traffic
from tests.drill.observability import observed

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2700)]

MINUTES = 30
LOOK_SECONDS = 5
WATCHDOG = "Watchdog"


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    """Chats, embeddings, and now and then something that callers get wrong; the tour at the beginning."""
    provider = Provider()
    with Platform(tmp_path / "home") as platform:
        publish_model(platform, provider)
        folder = tmp_path / "observability"
        folder.mkdir()
        with observed(platform, folder) as system, traffic(platform), platform.api() as client:
            calm(platform, system)
            assert platform.command("demo").returncode == 0
            until(lambda: system.alerts().get(WATCHDOG) == "firing", 120, "Prometheus works on its rules")
            fired: dict[str, float] = {}
            began = time.monotonic()
            while (passed := time.monotonic() - began) < MINUTES * 60:
                with suppress(httpx2.HTTPError):
                    client.post("/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": f"Hello {passed}"})
                    client.get("/v1/models/none")
                for name, state in system.alerts().items():
                    if state == "firing" and name != WATCHDOG:
                        fired.setdefault(name, passed)
                time.sleep(LOOK_SECONDS)
            assert fired == {}
            assert system.alerts()[WATCHDOG] == "firing"
            assert [event["payload"]["summary"] for _, event in system.pager.events] == []
    provider.close()
