"""What fields of the endpoints' requests share."""

from __future__ import annotations

NO_NUL = r"^[^\x00]*$"
"""The pattern of text that PostgreSQL stores: every character but this one."""
