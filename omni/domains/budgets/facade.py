"""What other domains and the composition roots may use of budgets and wallets."""

from __future__ import annotations

from omni.domains.budgets.service.budgets import find_alerts, publish_all
from omni.domains.budgets.service.top_ups import TOP_UP, top_up_failed
from omni.domains.budgets.service.wallets import GRANT, add_grant, run_wallets, verify_wallet, wallet

__all__ = [
    "GRANT",
    "TOP_UP",
    "add_grant",
    "find_alerts",
    "publish_all",
    "run_wallets",
    "top_up_failed",
    "verify_wallet",
    "wallet",
]
