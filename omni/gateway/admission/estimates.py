"""What a request will probably use, learned from what requests of the same model used.

The estimate of output is the mean and four mean deviations of what was seen, as TCP's retransmission timer does for
round trips (Jacobson 1988, RFC 6298), never more than what the request allows. So a reservation shrinks from the worst
case to what is likely, however large the `max_tokens` that clients ask for.
"""

from __future__ import annotations

from math import ceil
from typing import Final

_MODELS_LIMIT: Final = 10_000
_MEAN_WEIGHT: Final = 0.125
_DEVIATION_WEIGHT: Final = 0.25
_DEVIATIONS: Final = 4
_FIRST_OUTPUT, _FIRST_DEVIATION = 256.0, 192.0
_FIRST_TOKENS_PER_BYTE: Final = 0.25
_LEAST_OUTPUT: Final = 16


class _Learned:
    __slots__ = ("deviation", "output", "ratio", "ratio_deviation")

    def __init__(self) -> None:
        self.output = _FIRST_OUTPUT
        self.deviation = _FIRST_DEVIATION
        self.ratio = _FIRST_TOKENS_PER_BYTE
        self.ratio_deviation = 0.0


class Estimates:
    """What this process has learned, by model."""

    def __init__(self) -> None:
        self._models: dict[str, _Learned] = {}

    def likely(self, model: str, text_bytes: int, ceiling: int) -> tuple[int, int]:
        """How many tokens a request of this size probably has at most, and its answer, of which it allows `ceiling`."""
        learned = self._models.get(model)
        if learned is None:
            written, ratio = _FIRST_OUTPUT + _DEVIATIONS * _FIRST_DEVIATION, _FIRST_TOKENS_PER_BYTE
        else:
            written = learned.output + _DEVIATIONS * learned.deviation
            ratio = learned.ratio + 2 * learned.ratio_deviation
        return ceil(text_bytes * ratio), min(ceiling, max(_LEAST_OUTPUT, ceil(written)))

    def observe(self, model: str, text_bytes: int, input_tokens: int, output_tokens: int | None) -> None:
        """Learns from a request: its size and what the provider counted; output only of an answer that was whole."""
        learned = self._models.get(model)
        if learned is None:
            if len(self._models) >= _MODELS_LIMIT:
                del self._models[next(iter(self._models))]
            learned = self._models[model] = _Learned()
        if output_tokens is not None:
            error = output_tokens - learned.output
            learned.deviation += _DEVIATION_WEIGHT * (abs(error) - learned.deviation)
            learned.output += _MEAN_WEIGHT * error
        if text_bytes > 0 and input_tokens > 0:
            error = input_tokens / text_bytes - learned.ratio
            learned.ratio_deviation += _DEVIATION_WEIGHT * (abs(error) - learned.ratio_deviation)
            learned.ratio += _MEAN_WEIGHT * error
