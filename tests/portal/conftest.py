"""The status page under test is that of its domain's tests."""

from __future__ import annotations

from tests.domains.status.conftest import client, site

__all__ = ["client", "site"]
