"""Use cases of budgets and wallets, a file each."""
