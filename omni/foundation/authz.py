"""Who may do what: the one permission table."""

from __future__ import annotations

from enum import StrEnum

from omni.kit.errors import Forbidden


class Role(StrEnum):
    """A member's role in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


class Permission(StrEnum):
    """Something that a member may be allowed to do in a tenant."""

    TENANT_READ = "tenant:read"
    TENANT_MANAGE = "tenant:manage"
    MEMBERS_MANAGE = "members:manage"
    PROJECTS_MANAGE = "projects:manage"
    KEYS_READ = "keys:read"
    KEYS_MANAGE = "keys:manage"
    USAGE_READ = "usage:read"
    BILLING_READ = "billing:read"
    BILLING_MANAGE = "billing:manage"


_READS = frozenset({Permission.TENANT_READ, Permission.KEYS_READ, Permission.USAGE_READ})
_BILLING = frozenset({Permission.BILLING_READ, Permission.BILLING_MANAGE})
_BUILDS = frozenset({Permission.PROJECTS_MANAGE, Permission.KEYS_MANAGE})

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(Permission) - {Permission.BILLING_MANAGE},
    Role.DEVELOPER: _READS | _BUILDS,
    Role.BILLING: _READS | _BILLING,
    Role.VIEWER: _READS,
}


def require(role: Role, permission: Permission) -> None:
    """Raises Forbidden when the role does not have the permission."""
    if permission not in PERMISSIONS[role]:
        raise Forbidden(
            "permission_missing",
            f"Your role ({role}) does not allow this; it takes {permission}.",
            permission=permission,
        )
