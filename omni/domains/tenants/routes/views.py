"""From contracts to response bodies."""

from __future__ import annotations

from omni.domains.tenants.contracts import Invitation, Member, Membership, Project, Tenant
from omni.domains.tenants.schemas import InvitationOut, MemberOut, MembershipOut, ProjectOut, TenantOut


def to_api_tenant(tenant: Tenant) -> TenantOut:
    """As its members see it."""
    return TenantOut(
        id=tenant.tenant_id,
        name=tenant.name,
        plan_code=tenant.plan_code,
        status=tenant.status,
        created_at=tenant.created_at,
    )


def to_api_membership(membership: Membership) -> MembershipOut:
    """As its holder sees it."""
    return MembershipOut(tenant=to_api_tenant(membership.tenant), role=membership.role)


def to_api_project(project: Project) -> ProjectOut:
    """As members of the tenant see it."""
    return ProjectOut(id=project.project_id, name=project.name, created_at=project.created_at)


def to_api_member(member: Member, email: str) -> MemberOut:
    """With the address, which identity owns."""
    return MemberOut(user_id=member.user_id, email=email, role=member.role, created_at=member.created_at)


def to_api_invitation(invitation: Invitation) -> InvitationOut:
    """Without the token, which only the mail has."""
    return InvitationOut(
        id=invitation.invitation_id,
        email=invitation.email,
        role=invitation.role,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
    )
