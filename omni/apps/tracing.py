"""What traces of a process are exported and kept, as the settings say."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from omni import __version__
from omni.apps.settings import Settings
from omni.foundation.slow_traces import SlowTraceWriter
from omni.telemetry.traces import Tracing


def create_tracing(process: str, settings: Settings, registry: CollectorRegistry) -> Tracing:
    """Close it when the process ends. Without Redis nothing is kept."""
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url is not None else ""
    keeper = SlowTraceWriter(redis_url, process, registry) if redis_url and settings.slow_trace_ms else None
    return Tracing(
        process,
        __version__,
        settings.otlp_endpoint,
        settings.trace_sample_ratio,
        keeper,
        settings.slow_seconds,
        settings.traces_per_second,
    )
