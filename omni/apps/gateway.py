"""`omni serve gateway`: the public door."""

from __future__ import annotations

from typing import cast

import structlog
import uvloop

from omni.apps.serving import begin
from omni.apps.settings import Settings
from omni.gateway.app import serve
from omni.gateway.config import GatewayConfig
from omni.gateway.logs import Logger


def main() -> None:
    """Runs until SIGTERM, then drains."""
    settings = Settings()
    registry = begin("gateway", settings)
    logger = cast(Logger, structlog.stdlib.get_logger("omni.gateway"))  # its `event` may also be given by name
    uvloop.run(serve(gateway_config(settings), registry, logger, drain_seconds=settings.drain_seconds))


def gateway_config(settings: Settings) -> GatewayConfig:
    """The gateway's part of the settings. Raises SettingMissing, InvalidMasterKey."""
    networks = (network.strip() for network in settings.trusted_proxies.split(","))
    return GatewayConfig(
        host=settings.gateway_host,
        port=settings.gateway_port,
        metrics_host=settings.metrics_host,
        metrics_port=settings.metrics_port,
        backend_urls=(settings.backend_url,),
        redis_url=settings.redis_address(),
        principal_secret=settings.load_master_key().derive("principal"),
        spool_dir=settings.spool_folder,
        reuse_port=settings.gateway_workers > 1,
        trusted_proxies=tuple(filter(None, networks)),
        request_timeout_seconds=settings.request_timeout_seconds,
        processes=settings.gateway_workers,
    )
