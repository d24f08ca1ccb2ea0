"""`/api/tenants/{tenant_id}/ledger/…`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from omni.domains.ledger import service
from omni.domains.ledger.contracts import Account, Posted
from omni.domains.ledger.schemas import BalanceOut, BalancesOut, EntryOut, TransactionOut, TransactionsOut
from omni.domains.tenants.contracts import TenantAccess
from omni.foundation.authz import Permission
from omni.foundation.db.sessions import Database

_COSTS = frozenset((Account.PROVIDER_COST, Account.PROVIDER_PAYABLE))
"""What the platform pays is not the tenant's to see."""


@dataclass(frozen=True, slots=True)
class LedgerDeps:
    """What the routes work with. `access` makes the dependency that lets only permitted members pass."""

    database: Database
    access: Callable[[Permission], Callable[..., Awaitable[TenantAccess]]]


def router(deps: LedgerDeps) -> APIRouter:
    """The routes of this domain."""
    routes = APIRouter(prefix="/api/tenants/{tenant_id}/ledger", tags=["ledger"])
    may_read = Depends(deps.access(Permission.BILLING_READ))

    @routes.get("/balances", response_model=BalancesOut)
    async def list_balances(access: TenantAccess = may_read) -> BalancesOut:
        """The balance of each account and currency."""
        async with deps.database.read(access.tenant_id) as session:
            found = await service.balances(session)
        return BalancesOut(
            data=[
                BalanceOut(
                    account=each.account,
                    currency=each.currency,
                    amount_nanos=each.amount_nanos,
                    held_nanos=each.held_nanos,
                )
                for each in found
                if each.account not in _COSTS
            ]
        )

    @routes.get("/transactions", response_model=TransactionsOut)
    async def list_transactions(
        account: Annotated[Account | None, Query(description="Only those that touch this account.")] = None,
        after: Annotated[UUID | None, Query(description="`next_after` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        access: TenantAccess = may_read,
    ) -> TransactionsOut:
        """Everything that was posted, oldest first."""
        async with deps.database.read(access.tenant_id) as session:
            found = await service.transactions(session, account, after, limit)
        shown = [each for each in found if not any(e.account in _COSTS for e in each.transaction.entries)]
        following = found[-1].transaction_id if len(found) == limit else None
        return TransactionsOut(data=[_to_api(each) for each in shown], next_after=following)

    return routes


def _to_api(posted: Posted) -> TransactionOut:
    transaction = posted.transaction
    return TransactionOut(
        id=posted.transaction_id,
        currency=transaction.currency,
        kind=transaction.kind,
        reference=transaction.reference,
        occurred_at=transaction.occurred_at,
        entries=[EntryOut(account=e.account, amount_nanos=e.amount_nanos) for e in transaction.entries],
    )
