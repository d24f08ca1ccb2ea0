"""Questions that mean the same: found by their vectors, within the same surroundings and the same tenant."""

from __future__ import annotations

import asyncio
import base64
import math
import random
import struct
import time
from typing import Any

import orjson
import pytest

from omni.contracts.principal import Principal
from omni.contracts.wire import ModelRequest
from omni.gateway.cache.semantic import Vector, nearest, question_of
from omni.kit.clock import unix_micros
from tests.gateway.cache.support import cached_tenant, outcomes, post
from tests.gateway.providers import completion, whole
from tests.gateway.support import SECRET, ControlPlane, FakeBackend, Received

SIZE = 384
ANGLES = {"What is the capital of France?": 0.0, "Tell me France's capital.": 0.2, "How do I bake bread?": 1.2}


def vector(text: str) -> list[float]:
    """Vectors in one plane: the cosine of two is that of the difference of their angles."""
    angle = ANGLES[text]
    return [math.cos(angle), math.sin(angle)] + [0.0] * (SIZE - 2)


def turned(base: list[float], other: list[float], cosine: float) -> list[float]:
    """A vector at that cosine to `base`, in the direction of `other`."""
    along = sum(a * b for a, b in zip(base, other, strict=True)) / sum(a * a for a in base)
    across = [b - along * a for a, b in zip(base, other, strict=True)]
    size = math.sqrt(sum(a * a for a in base) / sum(a * a for a in across))
    sine = math.sqrt(1 - cosine * cosine)
    return [cosine * a + sine * size * b for a, b in zip(base, across, strict=True)]


def engines(backend: FakeBackend, *, silent: bool = False) -> None:
    """Both the provider's chat and the platform's own embeddings."""

    async def handler(request: Received, writer: asyncio.StreamWriter) -> None:
        if "omni-principal" not in request.headers:
            writer.write(whole(completion(f"To {len(chats(backend))}")))
        elif not silent:
            text = orjson.loads(request.body)["input"]
            packed = base64.b64encode(struct.pack(f"<{SIZE}f", *vector(text))).decode()
            writer.write(whole(orjson.dumps({"data": [{"embedding": packed}]})))

    backend.handler = handler


def chats(backend: FakeBackend) -> list[Received]:
    return [request for request in backend.received if "omni-principal" not in request.headers]


def ask_for(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt", "messages": [{"role": "user", "content": text}], **more}


FRANCE, CAPITAL, BREAD = ANGLES


async def test_a_question_that_means_the_same_is_answered_from_the_cache(
    port: int, control: ControlPlane, backend: FakeBackend
) -> None:
    engines(backend)
    tenant = await cached_tenant(control, threshold=950)
    first = await post(port, tenant, ask_for(FRANCE))
    like_it = await post(port, tenant, ask_for(CAPITAL))
    unlike = await post(port, tenant, ask_for(BREAD))
    same = await post(port, tenant, ask_for(FRANCE))
    assert [reply.headers["omni-cache"] for reply in (first, like_it, unlike, same)] == [
        "miss", "semantic", "miss", "hit",
    ]  # fmt: skip
    assert like_it.body == first.body != unlike.body
    assert len(chats(backend)) == 2
    events = await control.wait_events(tenant.key.tenant_id, 4)
    assert outcomes(events) == ["exact", "semantic", "target", "target"]
    (semantic,) = [event for event in events if event.attributes.get("cache") == "semantic"]
    assert semantic.quantities.keys() == {"cached_requests", "spend_nanos"}
    asked = next(request for request in backend.received if "omni-principal" in request.headers)
    principal = Principal.verify(asked.headers["omni-principal"], SECRET, unix_micros() - 1_000_000)
    assert principal.tenant_id == tenant.key.tenant_id


@pytest.mark.parametrize(
    ("threshold", "more"),
    [
        (990, {}),
        (None, {}),
        (950, {"temperature": 0.1}),
        (950, {"messages": [{"role": "system", "content": "Be rude."}, {"role": "user", "content": CAPITAL}]}),
        (
            950,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}]},
        ),
        (950, {"messages": [{"role": "user", "content": CAPITAL}, {"role": "assistant", "content": "It is"}]}),
    ],
    ids=["not near enough", "off", "other parameters", "other system prompt", "an image", "not the user's"],
)
async def test_what_is_not_the_same_is_asked(
    port: int, control: ControlPlane, backend: FakeBackend, threshold: int | None, more: dict[str, Any]
) -> None:
    engines(backend)
    tenant = await cached_tenant(control, threshold=threshold)
    await post(port, tenant, ask_for(FRANCE))
    assert (await post(port, tenant, ask_for(CAPITAL, **more))).headers["omni-cache"] == "miss"
    assert len(chats(backend)) == 2


async def test_tenants_do_not_share_questions(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    engines(backend)
    await post(port, await cached_tenant(control, threshold=500), ask_for(FRANCE))
    reply = await post(port, await cached_tenant(control, threshold=500), ask_for(CAPITAL))
    assert reply.headers["omni-cache"] == "miss"


async def test_an_engine_that_keeps_silent_makes_a_miss(port: int, control: ControlPlane, backend: FakeBackend) -> None:
    engines(backend, silent=True)
    tenant = await cached_tenant(control, threshold=900)
    began = time.monotonic()
    reply = await post(port, tenant, ask_for(FRANCE))
    assert (reply.status, reply.headers["omni-cache"]) == (200, "miss")
    assert time.monotonic() - began < 1
    assert (await post(port, tenant, ask_for(FRANCE))).headers["omni-cache"] == "hit"


def test_the_nearest_are_found_among_many_and_fast() -> None:
    rng = random.Random(7)

    def gauss() -> list[float]:
        return [rng.gauss(0, 1) for _ in range(SIZE)]

    asked = gauss()
    near = {0.99: "aa", 0.97: "bb", 0.90: "cc"}
    stored = [Vector(gauss()).pack(f"{number:064x}") for number in range(253)]
    stored += [Vector(turned(asked, gauss(), cosine)).pack(name * 32) for cosine, name in near.items()]
    rng.shuffle(stored)
    question = Vector(asked)
    began = time.perf_counter()
    for _ in range(20):
        found = nearest(stored, question, 950)
    each = (time.perf_counter() - began) / 20
    assert found == ["aa" * 32, "bb" * 32]
    assert each < 0.01, f"{each * 1000:.2f} ms"
    assert nearest(stored, question, 991) == []
    assert nearest([b"", b"short", b"x" * 468], question, 500) == []


@pytest.mark.parametrize("cosine", [0.5, 0.8, 0.95, 0.99])
def test_int8_keeps_the_cosine(cosine: float) -> None:
    rng = random.Random(3)
    for _ in range(20):
        one = [rng.gauss(0, 1) for _ in range(SIZE)]
        other = turned(one, [rng.gauss(0, 1) for _ in range(SIZE)], cosine)
        stored = [Vector(other).pack("ab" * 32)]
        assert nearest(stored, Vector(one), round(cosine * 1000) - 5)
        assert not nearest(stored, Vector(one), round(cosine * 1000) + 5)


@pytest.mark.parametrize("values", [[], [0.0] * 8, [math.nan] * 8, [1.0] * 7, [math.inf] * 8])
def test_what_has_no_direction_is_no_vector(values: list[float]) -> None:
    with pytest.raises(ValueError, match="not a vector"):
        Vector(values)


@pytest.mark.parametrize(
    ("operation", "fields", "text"),
    [
        ("chat", {"messages": [{"role": "user", "content": "Hi"}]}, "Hi"),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, "Hi"),
        ("messages", {"messages": [{"role": "user", "content": "Hi"}]}, "Hi"),
        ("responses", {"input": "Hi"}, "Hi"),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]}, "Hi"),
        ("responses", {"input": [{"type": "function_call_output", "output": "Hi"}]}, None),
        ("completions", {"prompt": "Hi"}, None),
        ("chat", {"messages": [{"role": "user", "content": " "}]}, None),
        ("chat", {"messages": [{"role": "user", "content": "x" * 3_000}]}, None),
        ("chat", {"messages": ["Hi"]}, None),
        ("chat", {"messages": []}, None),
        ("chat", {}, None),
    ],
)
def test_which_requests_are_questions(operation: Any, fields: dict[str, Any], text: str | None) -> None:
    found = question_of(ModelRequest(operation, b"", b"", fields, "gpt", stream=False), b"")
    assert (found.text if found is not None else None) == text
