"""The three database roles and how each process gets its password.

omni_owner   owns every object; used by migrations only
omni_app     all request work; owns nothing, no BYPASSRLS
omni_system  bypasses row-level security; drain, relay, reconciler and the few look-ups across tenants

Passwords are derived from the master key, so a process needs no secret besides that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import URL, make_url

from omni.foundation.crypto.secrets import MasterKey


class Role(StrEnum):
    OWNER = "omni_owner"
    APP = "omni_app"
    SYSTEM = "omni_system"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where the database is, and the master key that the roles' passwords come from."""

    admin_url: str
    """`postgresql://user:password@host:port/database`; this user only creates the roles, in `omni migrate`."""
    master_key: MasterKey

    def password(self, role: Role) -> str:
        return self.master_key.derive(f"database-role:{role}").hex()

    def url(self, role: Role | None = None) -> URL:
        """The address for one of the roles, or for the administrator."""
        url = make_url(self.admin_url).set(drivername="postgresql+asyncpg")
        return url if role is None else url.set(username=str(role), password=self.password(role))
