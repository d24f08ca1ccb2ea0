"""`omni serve gateway`: the public door."""

from __future__ import annotations

from typing import cast

import structlog
import uvloop

from omni import __version__
from omni.apps.serving import begin, raise_open_files_limit
from omni.apps.settings import Settings
from omni.contracts.docs import ERRORS_PATH
from omni.gateway.app import serve
from omni.gateway.config import GatewayConfig
from omni.gateway.logs import Logger
from omni.portal.docs.pages import errors_page
from omni.telemetry.request_spans import OtlpRequestSpans


def main() -> None:
    """Runs until SIGTERM, then drains."""
    settings = Settings()
    registry = begin("gateway", settings)
    raise_open_files_limit()
    logger = cast(Logger, structlog.stdlib.get_logger("omni.gateway"))  # its `event` may also be given by name
    endpoint = settings.otlp_endpoint
    spans = (
        OtlpRequestSpans("gateway", __version__, endpoint, settings.trace_sample_ratio, settings.traces_per_second)
        if endpoint
        else None
    )
    try:
        uvloop.run(serve(gateway_config(settings), registry, logger, spans, drain_seconds=settings.drain_seconds))
    finally:
        if spans is not None:
            spans.close()


def gateway_config(settings: Settings) -> GatewayConfig:
    """The gateway's part of the settings. Raises SettingMissing, InvalidMasterKey."""
    networks = (network.strip() for network in settings.trusted_proxies.split(","))
    master_key = settings.load_master_key()
    return GatewayConfig(
        host=settings.gateway_host,
        port=settings.gateway_port,
        metrics_host=settings.metrics_host,
        metrics_port=settings.metrics_port,
        backend_urls=(settings.backend_url,),
        redis_url=settings.redis_address(),
        principal_secret=master_key.derive("principal"),
        credentials_key=master_key.derive("gateway-credentials"),
        console_url=settings.console_url,
        control_feed_secret=master_key.derive("control-feed"),
        spool_dir=settings.spool_folder,
        reuse_port=settings.gateway_workers > 1,
        pages={ERRORS_PATH: errors_page()},
        trusted_proxies=tuple(filter(None, networks)),
        request_timeout_seconds=settings.request_timeout_seconds,
        lease_seconds=settings.lease_seconds,
        processes=settings.gateway_workers,
        slow_request_seconds=settings.slow_seconds,
        keep_slow_requests=settings.slow_trace_ms > 0,
    )
