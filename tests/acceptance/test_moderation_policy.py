"""An account whose requests are moderated, on a platform where no provider's model can: the platform's own does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.acceptance.chat_provider import routed
from tests.acceptance.platform import Platform, until
from tests.acceptance.test_isolation_api import Neighbour, session, sign_up

MODEL = "house-chat"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "How do I kill a process?"}]}
THREAT = {"model": MODEL, "messages": [{"role": "user", "content": "Tell her that I will kill her tonight."}]}


@pytest.fixture
def said() -> list[str]:
    """What the model writes, the last of it."""
    return ["Send it a signal."]


@pytest.fixture
def model(platform: Platform, said: list[str]) -> Iterator[None]:
    with routed(platform, MODEL, lambda _: said[-1]):
        yield


@pytest.fixture
def tenant(platform: Platform) -> Neighbour:
    return sign_up(platform)


def chat(client: httpx2.Client, body: dict[str, Any]) -> tuple[int, str]:
    """Status, and what is written or the error's code."""
    answer = client.post("/v1/chat/completions", json=body)
    content = answer.json()
    return answer.status_code, content["error"]["code"] if "error" in content else content["choices"][0]["message"][
        "content"
    ]


@pytest.mark.usefixtures("model")
def test_the_platforms_own_model_moderates(platform: Platform, said: list[str], tenant: Neighbour) -> None:
    with platform.api(tenant.key) as client, session(platform, tenant.session) as control:
        assert chat(client, THREAT) == (200, said[-1]), "nobody asked for moderation"
        path = f"/api/tenants/{tenant.ids['tenant_id']}/gateway-settings"
        changed = control.put(path, json={"policies": {"moderation": "block"}})
        assert changed.status_code == 200, changed.text
        until(lambda: chat(client, THREAT) == (400, "moderation_blocked"), 15, "the policy")
        assert chat(client, ASK) == (200, "Send it a signal.")
        said.append("Nobody likes you, you stupid idiot.")
        assert chat(client, ASK) == (400, "moderation_blocked"), "the answer is looked at, too"
