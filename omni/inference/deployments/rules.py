"""Who answers whom, and when a canary goes on or back: pure functions."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

Role = Literal["live", "canary", "shadow"]
Cause = Literal["healthy", "errors", "latency", "quality"]
BUCKETS = 64
FIRST_MS = 0.5
PER_DOUBLING = 4
BOUNDS_MS = [FIRST_MS * 2 ** (step / PER_DOUBLING) for step in range(BUCKETS - 1)]
"""Upper ends of the buckets of latency, a quarter of a doubling each, 0.5 ms to 23 s; the last one is open."""
Z_95 = 1.959963984540054
LEAST_SCORES = 30
"""Below it, means are not taken for normal."""


@dataclass(slots=True)
class Count:
    """What requests to one version came to."""

    requests: int = 0
    errors: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    scores: int = 0
    score_sum: float = 0.0
    score_squares: float = 0.0
    disagreements: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.latency = [a + b for a, b in zip(self.latency, other.latency, strict=True)]
        self.scores += other.scores
        self.score_sum += other.score_sum
        self.score_squares += other.score_squares
        self.disagreements += other.disagreements
        self.skipped += other.skipped

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.requests if self.requests else None

    @property
    def mean_score(self) -> float | None:
        return self.score_sum / self.scores if self.scores else None

    @property
    def score_deviation(self) -> float:
        """Of the sample, with n - 1; 0 below two scores."""
        if self.scores < 2:
            return 0.0
        spread = self.score_squares - self.score_sum**2 / self.scores
        return math.sqrt(max(0.0, spread) / (self.scores - 1))

    def quantile_ms(self, share: float) -> float | None:
        """The latency that this share of the requests stayed below, to the width of its bucket: at most 19 % off."""
        total = sum(self.latency)
        if not total:
            return None
        wanted, seen = share * total, 0
        for bucket, count in enumerate(self.latency):
            if count and seen + count >= wanted:
                low = BOUNDS_MS[bucket - 1] if bucket else 0.0
                high = BOUNDS_MS[bucket] if bucket < len(BOUNDS_MS) else low * 2 ** (1 / PER_DOUBLING)
                return low + (high - low) * (wanted - seen) / count
            seen += count
        return BOUNDS_MS[-1]


def one_request(seconds: float, *, failed: bool) -> Count:
    """The count of a single request."""
    made = Count(requests=1, errors=int(failed))
    made.latency[bisect_left(BOUNDS_MS, seconds * 1_000)] = 1
    return made


def one_score(score: float) -> Count:
    """The count of a single score."""
    return Count(scores=1, score_sum=score, score_squares=score * score)


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that takes over step by step."""

    version: int
    percents: tuple[int, ...]
    minimum_requests: int
    error_rate: float
    p95_ms: float | None
    score_drop: float | None
    minimum_scores: int

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Canary:
        back = row["rollback"]
        return cls(
            row["version"], tuple(row["percents"]), row["minimum_requests"], back["error_rate"], back["p95_ms"],
            back["score_drop"], back["minimum_scores"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a canary, and why."""

    kind: Literal["stepped", "promoted", "rolled_back"]
    cause: Cause
    reason: str
    """The same in a sentence."""
    figures: dict[str, Any]


def assign(
    deployment_id: UUID, who: str, weights: Mapping[int, int], canary: tuple[int, int] | None
) -> tuple[int, Role]:
    """The version that answers `who`, always the same one as long as nothing changes.

    `canary`: version and per cent. Who was the canary's stays so when its share grows. Among the others by weighted
    rendezvous hashing (Schindelhauer, Schomaker 2005, SPAA): the highest of -weight / ln(u), u uniform by hash; a
    change of one weight moves nobody between two other versions.
    """
    if canary is not None and _uniform(f"canary:{deployment_id}:{canary[0]}:{who}") * 100 < canary[1]:
        return canary[0], "canary"
    best = max(
        (number for number, weight in weights.items() if weight > 0),
        key=lambda number: (-weights[number] / math.log(_uniform(f"{deployment_id}:{number}:{who}")), number),
    )
    return best, "live"


def decide(canary: Canary, step: int, own: Count, others: Count) -> Decision | None:
    """What the figures since the step began say; None while they are too few."""
    figures = _figures(canary, step, own, others)
    causes: dict[Cause, str | None] = {
        "errors": _errors(canary, own), "latency": _latency(canary, own), "quality": _quality(canary, own, others),
    }  # fmt: skip
    for cause, reason in causes.items():
        if reason is not None:
            return Decision("rolled_back", cause, reason, figures)
    if own.requests < canary.minimum_requests or not _is_judged(canary, step, own, others):
        return None
    if step + 1 < len(canary.percents):
        return Decision(
            "stepped", "healthy", f"Healthy at {canary.percents[step]} %: now {canary.percents[step + 1]} %.", figures
        )
    return Decision("promoted", "healthy", f"Healthy at {canary.percents[step]} %: it answers everybody now.", figures)


def _is_judged(canary: Canary, step: int, own: Count, others: Count) -> bool:
    """Whether there are scores enough to compare, where they are to be compared. At 100 % there are no others."""
    if canary.score_drop is None or canary.percents[step] == 100:
        return True
    return own.scores >= canary.minimum_scores and others.scores >= LEAST_SCORES


def _errors(canary: Canary, own: Count) -> str | None:
    """Also before there are enough requests, once the rate can no longer be kept over the least number."""
    allowed = canary.error_rate * max(own.requests, canary.minimum_requests)
    if own.errors <= allowed:
        return None
    return f"{own.errors} of {own.requests} requests failed; {canary.error_rate:.2%} may."


def _latency(canary: Canary, own: Count) -> str | None:
    p95 = own.quantile_ms(0.95)
    if canary.p95_ms is None or p95 is None or own.requests < canary.minimum_requests or p95 <= canary.p95_ms:
        return None
    return f"The 95th percentile of its latency is {p95:.1f} ms; {canary.p95_ms:g} ms may be."


def _quality(canary: Canary, own: Count, others: Count) -> str | None:
    """Significantly worse than allowed: by the upper end of the difference's 95 % interval, taken for normal."""
    if canary.score_drop is None or own.scores < canary.minimum_scores or others.scores < LEAST_SCORES:
        return None
    difference = own.score_sum / own.scores - others.score_sum / others.scores
    error = math.sqrt(own.score_deviation**2 / own.scores + others.score_deviation**2 / others.scores)
    if difference + Z_95 * error >= -canary.score_drop:
        return None
    return f"Its mean score is {-difference:.4g} lower than the others'; {canary.score_drop:g} may be."


def _figures(canary: Canary, step: int, own: Count, others: Count) -> dict[str, Any]:
    return {
        "percent": canary.percents[step], "requests": own.requests, "errors": own.errors,
        "error_rate": own.error_rate, "p95_ms": own.quantile_ms(0.95), "scores": own.scores,
        "mean_score": own.mean_score, "others_requests": others.requests, "others_error_rate": others.error_rate,
        "others_p95_ms": others.quantile_ms(0.95), "others_scores": others.scores,
        "others_mean_score": others.mean_score,
    }  # fmt: skip


def _uniform(text: str) -> float:
    """A number in (0, 1), the same for the same text."""
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") + 0.5) / 2.0**64


def differs(first: object, second: object, tolerance: float) -> bool:
    """Whether two answers differ: numbers by more than `tolerance`, relative to the larger or absolute below 1."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() != second.keys() or any(differs(first[name], second[name], tolerance) for name in first)
    if isinstance(first, Sequence) and isinstance(second, Sequence) and not isinstance(first, str):
        return len(first) != len(second) or any(map(lambda a, b: differs(a, b, tolerance), first, second))
    if isinstance(first, int | float) and isinstance(second, int | float) and not isinstance(first, bool):
        return abs(first - second) > tolerance * max(1.0, abs(first), abs(second))
    return first != second
