"""Wallets that are topped up by themselves: settings, and the request to charge for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from omni.domains.budgets.contracts import TopUp, Wallet
from omni.domains.budgets.repository import wallets as repository
from omni.foundation.db.sessions import ReadSession, WriteSession
from omni.foundation.outbox.messages import enqueue
from omni.kit.errors import Conflict, NotFound
from omni.kit.ids import uuid7

TOP_UP = "billing.top_up"
"""The message (tenant_id, amount_nanos, reference): charge so much, then add a grant of it with this reference, or tell
`top_up_failed`. A reference that was charged already is not charged again."""
ASK_AGAIN_AFTER = timedelta(hours=1)


async def find_top_up(session: ReadSession) -> TopUp:
    """Raises NotFound `top_up_not_found`."""
    found = await repository.top_up(session)
    if found is None:
        raise NotFound("top_up_not_found", "The wallet is not topped up by itself.")
    return found


async def set_top_up(session: WriteSession, threshold_nanos: int, amount_nanos: int) -> TopUp:
    """Sets when and by how much; a charge that is under way goes on. Raises Conflict `wallet_missing`."""
    if await repository.credit(session) is None:
        raise Conflict("wallet_missing", "The tenant pays by invoice: it has no wallet until it is granted credit.")
    before = await repository.top_up(session, lock=True) or TopUp(threshold_nanos, amount_nanos)
    made = replace(before, threshold_nanos=threshold_nanos, amount_nanos=amount_nanos, paused=False)
    await repository.save_top_up(session, made)
    return made


async def remove_top_up(session: WriteSession) -> None:
    """Raises NotFound `top_up_not_found`."""
    if not await repository.delete_top_up(session):
        raise NotFound("top_up_not_found", "The wallet is not topped up by itself.")


async def request_top_up(session: WriteSession, wallet: Wallet, now: datetime) -> None:
    """Asks for a charge when the wallet has less than its threshold; for one that is under way again after an hour of
    silence, by the same reference, so that it is charged once."""
    setting = await repository.top_up(session, lock=True)
    if setting is None or setting.paused:
        return
    if setting.requested_at is not None and setting.requested_at >= now - ASK_AGAIN_AFTER:
        return
    enough = (wallet.credit_nanos or 0) - wallet.spent_nanos >= setting.threshold_nanos
    if setting.requested is None and enough:
        return
    reference = setting.requested or f"top-up:{uuid7()}"
    await repository.save_top_up(session, replace(setting, requested=reference, requested_at=now))
    await enqueue(session, TOP_UP, tenant_id=session.tenant_id, amount_nanos=setting.amount_nanos, reference=reference)


async def granted(session: WriteSession, reference: str) -> None:
    """The charge that was under way is done, if this is its reference."""
    setting = await repository.top_up(session, lock=True)
    if setting is not None and setting.requested == reference:
        await repository.save_top_up(session, replace(setting, requested=None, requested_at=None))


async def top_up_failed(session: WriteSession, reference: str) -> None:
    """The charge that was under way failed: nothing is charged again until the tenant sets its top-up anew."""
    setting = await repository.top_up(session, lock=True)
    if setting is not None and setting.requested == reference:
        await repository.save_top_up(session, replace(setting, requested=None, requested_at=None, paused=True))
