"""One platform for all acceptance tests, in a home whose path is as awkward as it may be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.platform import Platform
from tests.acceptance.watching import Watched


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Its home has spaces and is longer than a Unix socket's path may be."""
    home = tmp_path_factory.mktemp("a home") / ("with a very long name " * 5) / ("and deep " * 5)
    home.mkdir(parents=True)
    with Platform(home) as started:
        yield started


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A platform of its own, for what it tells of what it does."""
    with Watched(tmp_path_factory.mktemp("watched")) as started:
        yield started
