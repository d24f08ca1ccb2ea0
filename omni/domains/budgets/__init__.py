"""Budgets and wallets."""
