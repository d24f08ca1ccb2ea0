"""Rules for roles, names and numbers. No I/O."""

from __future__ import annotations

from datetime import timedelta

from omni.foundation.authz import PERMISSIONS, Role
from omni.kit.errors import Forbidden

DEFAULT_PROJECT = "default"
MAX_PROJECTS = 100
MAX_PENDING_INVITATIONS = 100

INVITE_PREFIX = "omni_invite_"
INVITE_LIFE = timedelta(days=7)


def require_not_above(actor: Role, *targets: Role) -> None:
    """Raises Forbidden `role_above_yours` when one of the roles may do something that the actor's may not."""
    for target in targets:
        if not PERMISSIONS[target] <= PERMISSIONS[actor]:
            raise Forbidden(
                "role_above_yours", f"Your role ({actor}) may not give, change or remove the role {target}."
            )
