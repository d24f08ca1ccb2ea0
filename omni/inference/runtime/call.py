"""One request at work: who it is for, how long it may take, what it has used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from omni.contracts.principal import Principal
from omni.contracts.usage import COMPUTE_MS, INPUT_TOKENS, PAGES, PREDICTIONS, TRAINING_MS
from omni.kit.clock import unix_micros
from omni.kit.errors import DeadlineExceeded

NANOS_PER_MS = 1_000_000


@dataclass(slots=True)
class Usage:
    """What a request has used so far. Only the event loop's thread writes to it."""

    compute_nanos: int = 0
    """CPU time of the threads and processes that worked for the request."""
    input_tokens: int = 0
    pages: int = 0
    training_ms: int = 0
    """Time for which a model was trained, by the clock."""
    predictions: int = 0
    """Rows that a model of the tenant's answered."""
    model: str = ""
    wait_nanos: int = 0
    """Longest time that it waited for an engine."""

    def quantities(self) -> dict[str, int]:
        """Integers by meter: milliseconds rounded to the nearest, at least 1 once an engine ran; zeros are left out."""
        quantities = {
            INPUT_TOKENS: self.input_tokens, PAGES: self.pages, TRAINING_MS: self.training_ms,
            PREDICTIONS: self.predictions,
        }  # fmt: skip
        if self.compute_nanos:
            quantities[COMPUTE_MS] = max(1, (self.compute_nanos + NANOS_PER_MS // 2) // NANOS_PER_MS)
        return {meter: quantity for meter, quantity in quantities.items() if quantity}


@dataclass(frozen=True, slots=True)
class Call:
    """A principal's request. `now_micros` gives Unix microseconds."""

    principal: Principal
    usage: Usage = field(default_factory=Usage)
    now_micros: Callable[[], int] = unix_micros

    def seconds_left(self) -> float:
        """Until the deadline. Raises DeadlineExceeded when it has passed. Safe to call from an engine's thread."""
        left = self.principal.deadline_micros - self.now_micros()
        if left <= 0:
            raise deadline_exceeded()
        return left / 1_000_000


def deadline_exceeded() -> DeadlineExceeded:
    """The answer of a request that ran out of time."""
    return DeadlineExceeded("deadline_exceeded", "The time allowed for this request is over. Send less input at once.")
