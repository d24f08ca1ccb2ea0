"""A tenant's policies as hooks, in the order in which they run.

| on | hook |
|---|---|
| a request | most output tokens, personal data, prompt injection; then, once it is admitted, moderation |
| an answer | moderation, personal data, header lines; on streams window by window and event by event |
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any

import orjson

from omni.contracts.snapshots import PolicySnapshot
from omni.contracts.wire import ModelRequest
from omni.gateway.metrics import GatewayMetrics
from omni.gateway.policies.headers import header_lines
from omni.gateway.policies.injection import THRESHOLD, InjectionPatterns, parts
from omni.gateway.policies.moderation import Moderator
from omni.gateway.policies.redaction import Placeholders, TextRedactor, redacted
from omni.gateway.policies.stream_redaction import drop_logprobs
from omni.gateway.policies.texts import ANSWER_TEXTS, REQUEST_LABELS, REQUEST_TEXTS, asked_texts, places
from omni.kit.errors import InvalidInput, TooLarge

_SETS_LIMIT = 1_000
_TEXT_LIMIT_CHARS = 4_000_000
"""Of more text than this it cannot be said in time what is in it."""
_GENERATES = frozenset(("chat", "completions", "responses", "messages"))
UNMODERATED = frozenset(("moderations", "count_tokens"))
"""What is asked about a text, not with it: neither moderated nor searched for prompt injections."""
_FORMS = frozenset(("image_edits", "transcriptions", "translations"))


class Blocked(Exception):
    """A policy refuses the request; `policy` and `decision` are for the record."""

    def __init__(self, error: InvalidInput, policy: str) -> None:
        super().__init__(error.code)
        self.error = error
        self.policy = policy


class Guard:
    """The policies at work on one request and its answer."""

    __slots__ = ("decisions", "placeholders", "policies")

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self.placeholders = Placeholders()
        self.decisions: list[str] = []

    def decide(self, policy: str, decision: str) -> None:
        """Notes and counts a decision; the same one once."""
        name = f"{policy}_{decision}"
        if name not in self.decisions:
            self.decisions.append(name)
            self.policies.metrics.policies.add(policy, decision)

    @property
    def attributes(self) -> dict[str, str]:
        """What the usage event says of the decisions."""
        if self.placeholders.found and "personal_data_blocked" not in self.decisions:
            self.decide("personal_data", "redacted")
        return {"policy": ",".join(self.decisions)} if self.decisions else {}

    async def request(self, request: ModelRequest) -> ModelRequest:
        """The request as it may go on. Raises Blocked, or TooLarge `too_much_text`."""
        for hook in self.policies.request_hooks:
            request = await hook(self, request)
        return request

    async def answer(self, content_type: bytes, body: bytes) -> bytes:
        """A whole answer without personal data."""
        if self.policies.snapshot.personal_data == "off":
            return body
        found = self.placeholders.found
        if b"json" not in content_type:
            if not content_type.startswith(b"text/"):
                return body
            return (await redacted(body.decode("utf-8", "replace"), self.placeholders)).encode()
        row = orjson.loads(body)
        for place in places(row, ANSWER_TEXTS):
            place.set(await _redacted(place.text, place.is_json, self.placeholders))
        if self.placeholders.found == found:
            return body
        drop_logprobs(row)
        row.pop("words", None)  # they spell out what was replaced
        return orjson.dumps(row)


Hook = Callable[[Guard, ModelRequest], Awaitable[ModelRequest]]


async def _redacted(text: str, is_json: bool, placeholders: Placeholders) -> str:
    if not is_json:
        return await redacted(text, placeholders)
    redactor = TextRedactor(placeholders, is_json=True)
    return redactor.feed(text) + redactor.end()


async def lower_output(guard: Guard, request: ModelRequest) -> ModelRequest:
    """No answer is longer than the policy allows, whether the request says a length or not."""
    if request.operation not in _GENERATES:
        return request
    return replace(request, max_output_tokens=guard.policies.snapshot.max_output_tokens)


async def find_personal_data(guard: Guard, request: ModelRequest) -> ModelRequest:
    """Replaces personal data in all texts, or refuses the request for it."""
    if request.operation in _FORMS:
        fields: dict[str, Any] = dict(request.fields)
    else:
        fields = orjson.loads(request.body)
    left = _TEXT_LIMIT_CHARS
    for place in places(fields, (*REQUEST_TEXTS, *REQUEST_LABELS)):
        left -= len(place.text)
        if left < 0:
            raise _too_much_text()
        place.set(await _redacted(place.text, place.is_json, guard.placeholders))
    if not guard.placeholders.found:
        return request
    if guard.policies.snapshot.personal_data == "block":
        raise Blocked(
            InvalidInput("personal_data_blocked", "The request has personal data, which this account does not allow."),
            "personal_data",
        )
    if request.operation in _FORMS:
        raise Blocked(
            InvalidInput(
                "personal_data_blocked",
                "A text field has personal data, which cannot be replaced in a form: leave it out.",
            ),
            "personal_data",
        )
    try:
        return replace(request, fields=fields, body=orjson.dumps(fields))
    except orjson.JSONEncodeError:
        raise InvalidInput("invalid_json", "The body is nested too deeply.") from None


def _too_much_text() -> TooLarge:
    return TooLarge("too_much_text", f"This account's policies read requests of up to {_TEXT_LIMIT_CHARS} characters.")


def injection_hook(patterns: InjectionPatterns) -> Hook:
    """Refuses requests in which users or tools say what prompt injections say."""

    async def find_injection(_: Guard, request: ModelRequest) -> ModelRequest:
        if request.operation in UNMODERATED or request.operation == "embeddings":
            return request
        left = _TEXT_LIMIT_CHARS
        for text in asked_texts(dict(request.fields)):
            left -= len(text)
            if left < 0:
                raise _too_much_text()
            for number, part in enumerate(parts(text)):
                if number:
                    await asyncio.sleep(0)
                if patterns.score(part) >= THRESHOLD:
                    raise Blocked(
                        InvalidInput(
                            "prompt_injection_blocked",
                            "The request reads like a prompt injection, which this account does not allow.",
                        ),
                        "prompt_injection",
                    )
        return request

    return find_injection


class PolicySet:
    """The hooks of one set of policies, built once."""

    __slots__ = ("digest", "header_lines", "metrics", "moderates", "request_hooks", "snapshot")

    def __init__(self, snapshot: PolicySnapshot, metrics: GatewayMetrics) -> None:
        self.snapshot = snapshot
        self.metrics = metrics
        self.digest = hashlib.sha256(orjson.dumps(asdict(snapshot))).digest()
        self.header_lines = header_lines(snapshot.set_headers)
        self.moderates = snapshot.moderation == "block"
        hooks: list[Hook] = []
        if snapshot.max_output_tokens is not None:
            hooks.append(lower_output)
        if snapshot.personal_data != "off":
            hooks.append(find_personal_data)
        if snapshot.prompt_injection == "block":
            hooks.append(injection_hook(InjectionPatterns()))
        self.request_hooks = tuple(hooks)


class Policies:
    """The sets of policies in use."""

    def __init__(self, metrics: GatewayMetrics, moderator: Moderator) -> None:
        self.metrics = metrics
        self.moderator = moderator
        self._sets: dict[PolicySnapshot, PolicySet] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def guard(self, snapshot: PolicySnapshot) -> Guard:
        """The policies for one request."""
        found = self._sets.get(snapshot)
        if found is None:
            if len(self._sets) >= _SETS_LIMIT:
                del self._sets[next(iter(self._sets))]
            found = self._sets[snapshot] = PolicySet(snapshot, self.metrics)
        return Guard(found)
