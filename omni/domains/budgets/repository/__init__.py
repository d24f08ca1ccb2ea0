"""SQL of budgets and wallets."""
