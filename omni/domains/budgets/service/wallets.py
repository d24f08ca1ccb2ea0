"""Wallets: credit is granted, used up in order, and expires; the books follow."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from omni.domains.budgets import rules
from omni.domains.budgets.contracts import Grant, GrantSource, NewGrant, Wallet
from omni.domains.budgets.repository import wallets as repository
from omni.domains.budgets.service.budgets import PUBLISH_MONEY, OpenSystemSession
from omni.domains.budgets.service.top_ups import ASK_AGAIN_AFTER, granted, request_top_up
from omni.domains.ledger import facade as ledger
from omni.domains.ledger.contracts import Account, Transaction
from omni.domains.metering import facade as metering
from omni.domains.metering.contracts import Difference
from omni.domains.pricing import facade as pricing
from omni.foundation.db.sessions import Database, ReadSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, InvalidInput
from omni.kit.ids import uuid7

GRANT, EXPIRY = "wallet_grant", "wallet_expiry"
"""Kinds of transactions in the books; their reference is the grant's."""
_CURRENCY = pricing.DEFAULT_CURRENCY
_PAGE = 1_000

_GIVEN_FROM: dict[GrantSource, Account] = {
    "promotion": Account.PROMOTION, "purchase": Account.CASH, "refund": Account.REVENUE,
}  # fmt: skip
_EXPIRES_TO: dict[GrantSource, Account] = {
    "promotion": Account.PROMOTION, "purchase": Account.REVENUE, "refund": Account.REVENUE,
}  # fmt: skip


async def wallet(session: ReadSession) -> Wallet:
    """The tenant's credit and what it spent since it began."""
    return Wallet(await repository.credit(session), await _spent(session))


async def list_grants(session: ReadSession, now: datetime) -> list[Grant]:
    """Every grant, oldest first, with what is used of it now."""
    return rules.settled(await repository.grants(session), await _spent(session), now)


async def add_grant(session: WriteSession, new: NewGrant, now: datetime) -> Wallet:
    """Grants credit, once for each reference; the tenant pays in advance from the first one on. It posts to the books:
    what is bought comes from `cash`, so whoever took the money in does not post it again.

    Raises InvalidInput `grant_expired`, Conflict `grant_reference_taken` for one with another amount or source.
    """
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidInput("grant_expired", "expires_at must be in the future.", param="expires_at")
    grant_id = uuid7()
    reference = new.reference or str(grant_id)
    await settle(session, now)
    if not await repository.insert_grant(session, grant_id, new, reference, now):
        await _refuse_another(session, new, reference)
        return await wallet(session)
    entries = ledger.entries((Account.WALLET, -new.amount_nanos), (_GIVEN_FROM[new.source], new.amount_nanos))
    await ledger.post(session, Transaction(_CURRENCY, GRANT, reference, now, entries))
    await granted(session, reference)
    await enqueue(session, PUBLISH_MONEY, tenant_id=session.tenant_id)
    return await wallet(session)


async def _refuse_another(session: WriteSession, new: NewGrant, reference: str) -> None:
    there = await repository.find_grant(session, reference)
    assert there is not None  # nothing is ever deleted
    if (there.amount_nanos, there.source) != (new.amount_nanos, new.source):
        raise Conflict(
            "grant_reference_taken",
            "There is another grant with this reference; use one of its own.",
            param="reference",
        )


async def settle(session: WriteSession, now: datetime) -> None:
    """Takes what was spent off the grants, and expires those whose time is over, in the books too."""
    before = {grant.grant_id: grant for grant in await repository.grants(session, lock=True)}
    if not before:
        return
    expired = False
    for grant in rules.settled(list(before.values()), await _spent(session), now):
        if grant == before[grant.grant_id]:
            continue
        await repository.save_use(session, grant)
        if grant.expired_at is not None and before[grant.grant_id].expired_at is None:
            await _post_expiry(session, grant, now)
            expired = True
    if expired:
        await enqueue(session, PUBLISH_MONEY, tenant_id=session.tenant_id)


async def _post_expiry(session: WriteSession, grant: Grant, now: datetime) -> None:
    """Takes what expired out of the books' wallet, as far as invoices have not taken it: they take tax besides."""
    there = [
        -each.amount_nanos - each.held_nanos
        for each in await ledger.balances(session)
        if (each.account, each.currency) == (Account.WALLET, _CURRENCY)
    ]
    nanos = min(grant.expired_nanos, max([0, *there]))
    if nanos and grant.reference is not None:
        entries = ledger.entries((Account.WALLET, nanos), (_EXPIRES_TO[grant.source], -nanos))
        await ledger.post(session, Transaction(_CURRENCY, EXPIRY, grant.reference, now, entries))


async def run_wallets(database: Database, open_session: OpenSystemSession, now: datetime) -> int:
    """Expires what is due and asks for charges where a wallet has to be topped up; returns how many tenants it saw."""
    async with open_session() as session:
        tenants = await repository.tenants_due(session, now, now - ASK_AGAIN_AFTER)
    for tenant_id in tenants:
        async with database.write(tenant_id) as inside:
            await settle(inside, now)
            await request_top_up(inside, await wallet(inside), now)
    return len(tenants)


async def verify_wallet(session: ReadSession) -> list[Difference]:
    """The tenant's grants against the books, in nano-units: what was granted, and what expired (never more of it)."""
    posted: Counter[str] = Counter()
    after = None
    while page := await ledger.transactions(session, Account.WALLET, after, _PAGE):
        for each in page:
            entries = [entry for entry in each.transaction.entries if entry.account is Account.WALLET]
            posted[each.transaction.kind] += sum(entry.amount_nanos for entry in entries)
        after = page[-1].transaction_id
    grants = [grant for grant in await repository.grants(session) if grant.reference is not None]
    given = sum(grant.amount_nanos for grant in grants)
    expired = sum(grant.expired_nanos for grant in grants)
    found = [("wallet grants = ledger", given, -posted[GRANT])]
    found.append(("wallet expiries ≥ ledger", min(expired, posted[EXPIRY]), posted[EXPIRY]))
    return [
        Difference(check, session.tenant_id, f"nano-units of {_CURRENCY}", left, right)
        for check, left, right in found
        if left != right
    ]


async def _spent(session: ReadSession) -> int:
    return await metering.spent(session, "tenant", session.tenant_id, None)
