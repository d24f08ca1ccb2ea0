"""The fixtures of the bars."""

from __future__ import annotations

from tests.bars.conftest import (
    _shared_gateway,
    backend,
    backend_server,
    control,
    fleet,
    logger,
    own_control,
    own_redis,
    shared_redis,
    start_gateway,
)
from tests.bars.test_providers import providers, second_server

__all__ = [
    "_shared_gateway", "backend", "backend_server", "control", "fleet", "logger", "own_control", "own_redis",
    "providers", "second_server",
    "shared_redis", "start_gateway",
]  # fmt: skip
