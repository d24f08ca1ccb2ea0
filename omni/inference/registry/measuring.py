"""What answers of tenants' models come to, for the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from omni.inference.registry.contracts import Format, Runner, StoredVersion
from omni.inference.runtime.call import Call
from omni.kit.errors import DeadlineExceeded, InvalidInput, OmniError, Unavailable, Unprocessable
from omni.telemetry.inference_metrics import PredictionMetrics

DAMAGED = "model_damaged"
PROCESS_ENDED = "model_process_ended"


class MeasuredRunner:
    """A Runner whose answers are counted, whoever asks."""

    def __init__(self, inner: Runner, engine: Format, metrics: PredictionMetrics) -> None:
        self._inner = inner
        self._engine = engine
        self._metrics = metrics

    async def predict(self, call: Call, version: StoredVersion, request: Mapping[str, Any]) -> dict[str, Any]:
        """As the runner within."""
        began, outcome = time.monotonic(), "cancelled"
        try:
            answer = await self._inner.predict(call, version, request)
            outcome = "ok"
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            self._metrics.duration.observe(time.monotonic() - began, self._engine, outcome)
        return answer


def _outcome(error: Exception) -> str:
    if isinstance(error, InvalidInput):
        return "invalid"
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    if isinstance(error, Unprocessable):
        return "process_ended" if error.code == PROCESS_ENDED else "model_failed"
    return "busy" if isinstance(error, Unavailable) and error.code != DAMAGED else "error"


def upload_outcome(error: OmniError) -> str:
    """Of an upload that was not stored."""
    if error.code == "model_does_not_run":
        return "does_not_run"
    return "refused" if error.status < 500 else "failed"
