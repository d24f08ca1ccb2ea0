"""Which targets serve a request, and in what order they are tried."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from omni.contracts.money import amount_nanos
from omni.contracts.routes import Condition, ModelRoute, Target
from omni.contracts.usage import INPUT_TOKENS, OUTPUT_TOKENS
from omni.gateway.routing.health import HealthBook, TargetHealth
from omni.kit.errors import LimitExceeded, OmniError, Unavailable

_HASH_RANGE = float(1 << 64)


@dataclass(slots=True)
class Ask:
    """What of a request decides its way, where there is more than one."""

    tenant: str
    region: str
    tags: frozenset[str]
    input_tokens: int
    """By estimate, as are the output tokens."""
    output_tokens: int
    user: str
    """Who asks, for sticky routes: the request's `user`, else the key."""


class Router:
    """Orders the targets of a model by its strategy and by how they fare."""

    def __init__(self, health: HealthBook, random: Random) -> None:
        self._health = health
        self._random = random
        self._orders: dict[str, Callable[[Sequence[Target], Ask], list[Target]]] = {
            "priority": self._by_priority,
            "weighted": self._by_weight,
            "cheapest": self._by_cost,
            "fastest": self._by_latency,
            "least_busy": self._by_load,
            "quality": self._by_quality,
            "balanced": self._by_balance,
        }

    def targets(self, model: ModelRoute, make_ask: Callable[[], Ask]) -> Sequence[Target]:
        """The targets to try, best first; those that are out of order or cooling down are left out.

        Raises LimitExceeded or Unavailable when none is left.
        """
        possible = model.targets
        now = self._health.now()
        if len(possible) == 1 and possible[0].when is None:
            if not self._health.of(possible[0].id).usable(now):
                raise self._none_left(model, possible, now)
            return possible
        ask = make_ask()
        possible = tuple(target for target in possible if target.when is None or _holds(target.when, ask))
        usable = [target for target in possible if self._health.of(target.id).usable(now)]
        if not usable:
            raise self._none_left(model, possible, now)
        if len(usable) == 1:
            return usable
        if model.sticky and ask.user:
            return sorted(usable, key=lambda target: _rendezvous(target, ask.user), reverse=True)
        return self._orders[model.strategy](usable, ask)

    def _none_left(self, model: ModelRoute, possible: Sequence[Target], now: float) -> OmniError:
        if not possible:
            return Unavailable("no_target", f"No target of {model.name} accepts this request.", retry_after_seconds=60)
        health = [self._health.of(target.id) for target in possible]
        seconds = max(1, math.ceil(min(each.ready_at() for each in health) - now))
        if all(each.cool_until > now for each in health):
            return provider_limited(seconds)
        return Unavailable(
            "model_unavailable", f"The model {model.name} is out of order just now.", retry_after_seconds=seconds
        )

    def _by_priority(self, targets: Sequence[Target], ask: Ask) -> list[Target]:
        return sorted(self._by_weight(targets, ask), key=lambda target: target.priority)

    def _by_weight(self, targets: Sequence[Target], _: Ask) -> list[Target]:
        # A random order in which each is first as often as its weight says (Efraimidis and Spirakis 2006).
        draw = self._random.random
        return sorted(targets, key=lambda target: -(draw() ** (1 / target.weight) if target.weight > 0 else -1.0))

    def _by_cost(self, targets: Sequence[Target], ask: Ask) -> list[Target]:
        return sorted(targets, key=lambda target: _cost(target, ask))

    def _by_latency(self, targets: Sequence[Target], _: Ask) -> list[Target]:
        return sorted(targets, key=self._latency)

    def _by_load(self, targets: Sequence[Target], _: Ask) -> list[Target]:
        return sorted(targets, key=self._load)

    def _by_quality(self, targets: Sequence[Target], _: Ask) -> list[Target]:
        return sorted(targets, key=lambda target: -target.quality)

    def _by_balance(self, targets: Sequence[Target], ask: Ask) -> list[Target]:
        """By the mean of four ranks: cost, latency, load, quality; equal ones share a rank."""
        scores = dict.fromkeys((target.id for target in targets), 0)
        measures: tuple[Callable[[Target], float], ...] = (
            lambda target: _cost(target, ask), self._latency, self._load, lambda target: -target.quality,
        )  # fmt: skip
        for measure in measures:
            values = {target.id: measure(target) for target in targets}
            ranks = {value: rank for rank, value in enumerate(sorted(set(values.values())))}
            for target_id, value in values.items():
                scores[target_id] += ranks[value]
        return sorted(self._by_weight(targets, ask), key=lambda target: scores[target.id])

    def _of(self, target: Target) -> TargetHealth:
        return self._health.of(target.id)

    def _latency(self, target: Target) -> float:
        return self._of(target).first_byte_seconds or 0.0  # what was never tried is tried

    def _load(self, target: Target) -> float:
        return (self._of(target).open_calls + 1) / max(1, target.weight)


def provider_limited(seconds: int) -> LimitExceeded:
    """The error while every provider of a model asks us to wait."""
    return LimitExceeded(
        "provider_rate_limited",
        "The providers of this model are at their limits. Try again as Retry-After says.",
        retry_after_seconds=seconds,
    )


def _holds(when: Condition, ask: Ask) -> bool:
    return (
        (not when.tenants or ask.tenant in when.tenants)
        and (not when.regions or ask.region in when.regions)
        and when.tags <= ask.tags
        and (when.min_input_tokens is None or ask.input_tokens >= when.min_input_tokens)
        and (when.max_input_tokens is None or ask.input_tokens <= when.max_input_tokens)
    )


def _cost(target: Target, ask: Ask) -> int:
    return amount_nanos({INPUT_TOKENS: ask.input_tokens, OUTPUT_TOKENS: ask.output_tokens}, target.cost)


def _rendezvous(target: Target, user: str) -> float:
    """Weighted rendezvous hashing (Thaler and Ravishankar 1998): few users move when a target comes or goes."""
    digest = hashlib.blake2b(f"{target.id}\x1f{user}".encode(), digest_size=8).digest()
    drawn = (int.from_bytes(digest, "big") + 1) / (_HASH_RANGE + 1)
    return -max(1, target.weight) / math.log(drawn)
