"""Bodies of the tenant routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from omni.contracts.answer_headers import may_be_set
from omni.foundation.authz import Role
from omni.foundation.http.fields import EmailAddress, Name, PasswordText, RequestModel, TokenText

TenantName = Annotated[Name, Field(examples=["Acme GmbH"])]
ProjectName = Annotated[Name, Field(examples=["production"])]


class SignUpIn(RequestModel):
    """A person and the tenant they open."""

    email: EmailAddress
    password: PasswordText
    tenant_name: TenantName


class SignUpOut(BaseModel):
    """What was made. The address has to be verified before the first login."""

    user_id: UUID
    tenant_id: UUID
    project_id: UUID


class TenantOut(BaseModel):
    """A tenant."""

    id: UUID
    name: str
    plan_code: str
    status: Literal["active", "suspended"]
    created_at: datetime


class MembershipOut(BaseModel):
    """A tenant and your role in it."""

    tenant: TenantOut
    role: Role


class MeOut(BaseModel):
    """You, and where you are a member."""

    id: UUID
    email: str
    is_operator: bool
    memberships: list[MembershipOut]


class TenantPatch(RequestModel):
    """A new name."""

    name: TenantName


class PlanChoiceIn(RequestModel):
    """The plan to be on."""

    plan_code: Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[a-z0-9-]+$", examples=["pro"])]


class ProjectIn(RequestModel):
    """A project's name."""

    name: ProjectName


class ProjectOut(BaseModel):
    """A project."""

    id: UUID
    name: str
    created_at: datetime


class ProjectsOut(BaseModel):
    """All projects, oldest first."""

    data: list[ProjectOut]


class MemberPatch(RequestModel):
    """A new role."""

    role: Role


class MemberOut(BaseModel):
    """A member."""

    user_id: UUID
    email: str
    role: Role
    created_at: datetime


class MembersOut(BaseModel):
    """All members, oldest first."""

    data: list[MemberOut]


class InvitationIn(RequestModel):
    """Whom to invite, and as what."""

    email: EmailAddress
    role: Role


class InvitationOut(BaseModel):
    """An invitation that can still be accepted."""

    id: UUID
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


class InvitationsOut(BaseModel):
    """All open invitations, oldest first."""

    data: list[InvitationOut]


class AcceptInvitationIn(RequestModel):
    """The token from the invitation mail."""

    token: TokenText


def _settable(name: str) -> str:
    if not may_be_set(name):
        raise ValueError("this header is not yours to set")
    return name


HeaderName = Annotated[str, Field(pattern=r"^x-[a-z0-9-]{1,60}$", examples=["x-department"]), AfterValidator(_settable)]
HeaderValue = Annotated[str, Field(max_length=200, pattern=r"^[\x20-\x7e]*$", examples=["research"])]
ModelPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}\*?$", examples=["gpt-4o*"])]


class PoliciesModel(RequestModel):
    """What happens to requests and answers on their way."""

    personal_data: Literal["off", "redact", "block"] = "off"
    prompt_injection: Literal["off", "block"] = "off"
    moderation: Literal["off", "block"] = "off"
    allowed_models: Annotated[list[ModelPattern] | None, Field(max_length=200, examples=[None])] = None
    denied_models: Annotated[list[ModelPattern], Field(max_length=200, examples=[[]])] = Field(default_factory=list)
    max_output_tokens: Annotated[int | None, Field(ge=1, le=10_000_000, examples=[None])] = None
    set_headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=20, examples=[{}])] = Field(
        default_factory=dict, description="Header lines added to answers."
    )


class GatewaySettingsModel(RequestModel):
    """What the gateways do to the tenant's requests besides serving them."""

    policies: PoliciesModel = Field(default_factory=PoliciesModel)
    cache_seconds: Annotated[int, Field(ge=0, le=86_400, examples=[300])] = 0
    semantic_threshold_per_mille: Annotated[int | None, Field(ge=500, le=1000, examples=[None])] = None
