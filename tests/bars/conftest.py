"""The gateway's own fixtures, and gateways in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bars.processes import Fleet
from tests.gateway.conftest import (
    _shared_gateway,
    backend,
    backend_server,
    control,
    logger,
    own_control,
    own_redis,
    port,
    shared_redis,
    start_gateway,
)

__all__ = [
    "_shared_gateway", "backend", "backend_server", "control", "logger", "own_control", "own_redis", "port",
    "shared_redis", "start_gateway",
]  # fmt: skip


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Starts gateway processes; the test leaves none behind."""
    started = Fleet(tmp_path)
    yield started
    started.kill()
