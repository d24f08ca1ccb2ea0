"""`omni tenants`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from omni.apps.cli.control import open_control
from omni.apps.cli.output import JsonFlag, print_rows, run_command
from omni.domains.tenants import facade as tenants
from omni.domains.tenants.contracts import Tenant, TenantStatus

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
TenantArgument = Annotated[UUID, typer.Argument(help="The tenant's id.")]


@app.command("list")
def list_tenants(json: JsonFlag = False) -> None:
    """All tenants."""

    async def work() -> None:
        found: list[Tenant] = []
        async with open_control() as control:
            while page := await tenants.list_tenants(control.system, found[-1].tenant_id if found else None):
                found += page
        print_rows([_row(tenant) for tenant in found], json)

    run_command(work)


@app.command("plan")
def change_plan(tenant: TenantArgument, plan: Annotated[str, typer.Argument(help="Code of the plan.")]) -> None:
    """Put a tenant on another plan; gateways follow within a second."""

    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            print_rows([_row(await tenants.change_plan(session, plan))], False)

    run_command(work)


@app.command()
def suspend(tenant: TenantArgument) -> None:
    """Refuse all requests of a tenant."""
    _set_status(tenant, "suspended")


@app.command()
def resume(tenant: TenantArgument) -> None:
    """Let a suspended tenant in again."""
    _set_status(tenant, "active")


def _set_status(tenant: UUID, status: TenantStatus) -> None:
    async def work() -> None:
        async with open_control() as control, control.database.write(tenant) as session:
            print_rows([_row(await tenants.set_status(session, status))], False)

    run_command(work)


def _row(tenant: Tenant) -> dict[str, object]:
    return {
        "id": tenant.tenant_id,
        "name": tenant.name,
        "plan": tenant.plan_code,
        "status": tenant.status,
        "created": tenant.created_at,
    }
