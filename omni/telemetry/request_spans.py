"""The gateway's spans over OTLP: its hot path does without the SDK and hands over what has ended."""

from __future__ import annotations

import sys

from omni.telemetry import gen_ai
from omni.telemetry.finished import of_call, of_request
from omni.telemetry.otlp import OtlpExport, Sampler
from omni.telemetry.spans import CallSpan, RequestSpan

_SWITCH_SECONDS = 0.0005
"""After so long the thread that encodes spans lets requests go on; Python's own 5 ms would be seen in their p99."""


class OtlpRequestSpans:
    """SERVER and CLIENT spans, exported."""

    def __init__(
        self, process: str, version: str, otlp_endpoint: str, sample_ratio: float = 1.0, per_second: int = 0
    ) -> None:
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._otlp = OtlpExport(process, version, otlp_endpoint)
        self._sampler = Sampler(sample_ratio, per_second)

    def sampled_id(self) -> int:
        return self._sampler.sampled_id()

    def has_room(self) -> bool:
        return self._sampler.has_room()

    def export(self, span: RequestSpan) -> None:
        self._otlp.export(of_request(span))

    def export_call(self, span: CallSpan) -> None:
        self._otlp.export(of_call(span), gen_ai.SCHEMA_URL)

    def close(self) -> None:
        """As `OtlpExport.close`."""
        self._otlp.close()
